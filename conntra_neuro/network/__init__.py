"""Discrete networks: levels, layers, the integer forward pass, and their files."""

from conntra_neuro.network.layers import Conv2d, Dense, Flatten, MaxPool, Recurrent, Residual, SumPool
from conntra_neuro.network.network import DiscreteNetwork

__all__ = ["Conv2d", "Dense", "DiscreteNetwork", "Flatten", "MaxPool", "Recurrent", "Residual", "SumPool"]
