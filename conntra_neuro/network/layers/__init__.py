"""The layers of a discrete network."""

from conntra_neuro.network.layers.conv import Conv2d
from conntra_neuro.network.layers.dense import Dense
from conntra_neuro.network.layers.layer import Layer, Shape, Weighted
from conntra_neuro.network.layers.pooling import Flatten, MaxPool, SumPool
from conntra_neuro.network.layers.recurrent import Recurrent
from conntra_neuro.network.layers.residual import INPUT_LAYER, Residual

__all__ = [
    "INPUT_LAYER",
    "Conv2d",
    "Dense",
    "Flatten",
    "Layer",
    "MaxPool",
    "Recurrent",
    "Residual",
    "Shape",
    "SumPool",
    "Weighted",
]
