"""Networks on all training samples, and what moves change exactly: the state of the exact and annealed gears.

chain.py   dense threshold layers, bit-packed, one unit's moves at a time (flips.py: the kernels)
layers.py  any layers and neurons as a graph in flat arrays (graph.py), changes followed along its edges (deltas.py)
screen.py  which moves of such a network are worth an exact look
"""
