"""Ways of training without a gradient. Each works on any layers and neurons; chains of dense thresholds have kernels.

blocks.py          mini-batches, the moves of all units scored at once (moves.py: what is made of the scores)
exact_chain.py, exact_layers.py        one move, or some verified ones, at a time; the objective never rises
annealed.py, annealed_layers.py        a unit at a time, several moves together, from coarse to fine
"""
