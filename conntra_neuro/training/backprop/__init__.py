"""Backpropagation: the baselines of the paper, and the start of a warm one. All of JAX is in this package.

gear.py          quantisation-aware training of the integer network, with latent float weights: what is common
folded.py        of threshold neurons: normalisation folded into integer biases, exactly (fold.py)
whole.py         of all other neurons: each mini-batch sees an integer network
real.py          the real-valued network of the same architecture in float64 (real_network.py)
steps.py         what compiled steps are made of; folded_steps.py, whole_steps.py (leaky_steps.py: leaky neurons through
                 time): the steps; these import JAX and are loaded through load.py
"""
