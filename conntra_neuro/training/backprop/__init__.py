"""Backpropagation: the baselines of the paper, and the start of a warm one. All of JAX is in this package.

fold.py              batch normalisation to integer biases, exactly; NumPy only
straight_through.py  the gear: quantisation-aware training of the integer network, with latent float weights
real.py              the real-valued network of the same architecture in float64
steps.py             the compiled steps of both; the module that imports JAX, loaded through ``load.py``
"""
