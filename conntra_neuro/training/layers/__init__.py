"""What a layer does in training, exactly: forward, scores of its weights, gains carried down to its inputs.

forward.py  a pass over a mini-batch, every value kept
maps.py     the linear maps: dense, convolutions, windows
columns.py  images to columns and back, the loops under convolutions
"""
