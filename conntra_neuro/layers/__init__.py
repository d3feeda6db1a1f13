"""The layers of a discrete network."""

from conntra_neuro.layers.conv import Conv2d
from conntra_neuro.layers.dense import Dense
from conntra_neuro.layers.layer import Layer, Shape
from conntra_neuro.layers.pooling import Flatten, MaxPool, SumPool
from conntra_neuro.layers.residual import INPUT_LAYER, Residual

__all__ = ["INPUT_LAYER", "Conv2d", "Dense", "Flatten", "Layer", "MaxPool", "Residual", "Shape", "SumPool"]
