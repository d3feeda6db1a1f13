"""The layers to train: from words, from a network that is there, and with all their shapes.

words.py         "conv16k5s2", "maxpool2", "if8": layers and neurons as they are named
architecture.py  layers with shapes, neurons and skip connections; from weights to a network and back
of_network.py    what a network's layers are in words, to train it further
"""
