"""What layers and networks refuse, each by name, and what they only just take. Mutants are tried on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_cases import conv, dense, drawn, images, skipping, through, to_itself

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GradedRelu, Lif
from conntra_hardware.program.input_encoding import ThermometerEncoder
from conntra_hardware.program.value_scale import ValueScale
from conntra_neuro.network.layers import INPUT_LAYER, Conv2d, Dense, Flatten, MaxPool, Recurrent, Residual, SumPool
from conntra_neuro.network.layers.layer import Weighted
from conntra_neuro.network.levels import TERNARY


class _Odd:
    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)


GRADED = conv(1, (1, 4, 4), activation=GradedRelu())
REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (lambda: cn.DiscreteNetwork([]), "no layers; at least a readout"),
    "a pool at the end": (
        lambda: cn.DiscreteNetwork([SumPool(2, input_shape=(1, 4, 4))]),
        "layer 0 .*: the last layer needs neurons",
    ),
    "a readout in the middle": (
        lambda: cn.DiscreteNetwork([through(2, 3), through(2, 2)]),
        r"layer 0 \(Dense.*\): only the last layer may",
    ),
    "sizes": (
        lambda: cn.DiscreteNetwork([dense(2, 3), through(2, 4)]),
        r"layer 1 .*takes shape \(4,\), layer 0 .*gives",
    ),
    "images of one size": (
        lambda: cn.DiscreteNetwork([conv(2, (1, 3, 4), 1), conv(1, (2, 4, 3), 1), through(2, 12)]),
        r"takes shape \(2, 4, 3\), layer 0 .*gives \(2, 3, 4\)",
    ),
    "maxima of sums": (
        lambda: images(SumPool(2, input_shape=(2, 6, 5)), MaxPool(2, input_shape=(2, 3, 2))),
        "layer 2 .*takes the maximum of 0/1",
    ),
    "maxima of graded": (
        lambda: cn.DiscreteNetwork([GRADED, Flatten((1, 3, 3)), MaxPool(1, input_shape=(1, 3, 3)), through(2, 9)]),
        "layer 2 .*takes the maximum of 0/1",
    ),
    "labels": (lambda: cn.DiscreteNetwork([through(2, 3)], labels="abc"), "3 labels for 2 classes"),
    "labels twice": (lambda: cn.DiscreteNetwork([through(2, 3)], labels="aa"), "each class needs one of its own"),
    "value and two outputs": (lambda: cn.DiscreteNetwork([through(2, 3)], value=ValueScale(1)), "one output"),
    "an encoder's size": (
        lambda: cn.DiscreteNetwork([through(2, 3)], ThermometerEncoder(np.array([[0.5], [1.5]]))),
        "the encoder gives 2 spikes, layer 0 takes 3",
    ),
    "an encoder's steps": (
        lambda: cn.DiscreteNetwork([through(2, 3)], _Odd(n_out=3, steps=2)),  # type: ignore[arg-type]
        "the encoder gives 2 time steps, its neurons take 1",
    ),
    "a residual of the next": (lambda: skipping(Residual(0, 1)), "must skip at least one of the 5 layers"),
    "a residual backwards": (lambda: skipping(Residual(3, 1)), "must skip"),
    "a residual from nowhere": (lambda: skipping(Residual(-2, 1)), "must skip"),
    "a residual to nowhere": (lambda: skipping(Residual(0, 5)), "must skip"),
    "a residual to a pool": (
        lambda: cn.DiscreteNetwork(
            [dense(16, 4), dense(16, 16), SumPool(2, input_shape=(1, 4, 4)), through(2, 4)], residuals=[Residual(0, 2)]
        ),
        "layer 2 .*must be Dense or Conv2d",
    ),
    "a residual of another shape": (lambda: skipping(Residual(0, 4)), r"shape \(2, 4, 3\) cannot be added to layer 4"),
    "a connection of another size": (
        lambda: skipping(Residual(0, 4, through(3, 25))),
        r"its connection takes shape \(25,\), the source gives \(2, 4, 3\)",
    ),
    "a connection to another size": (lambda: skipping(Residual(0, 4, through(4, 24))), r"shape \(4,\) cannot be added"),
    "a connection that spikes": (lambda: Residual(0, 2, dense(2, 2, bias=[0, 0])), "neurons or biases of its own"),
    "a connection with a bias": (lambda: Residual(0, 2, dense(2, 2, "readout", bias=[0, 1])), "neurons or biases"),
    "a connection and a scale": (lambda: Residual(0, 2, through(2, 2), 2), "scale 2 with a connection"),
    "a connection with delays": (lambda: Residual(0, 2, Dense([[1]], activation="readout", delay=1)), "has delays"),
    "no scale": (lambda: Residual(0, 2, None, 0), "scale 0 adds nothing"),
    "back to nowhere": (lambda: to_itself(Recurrent(2, drawn(4, 4))), "there are 2 layers, 0 to 1"),
    "back to a readout": (lambda: to_itself(Recurrent(1, drawn(2, 2))), "no neurons that spike"),
    "back to a pool": (
        lambda: cn.DiscreteNetwork([SumPool(2, input_shape=(1, 2, 2)), through(2, 1)], recurrent=[Recurrent(0, [[1]])]),
        "no neurons that spike",
    ),
    "back to more": (lambda: to_itself(Recurrent(0, drawn(5, 5))), "5 neurons, the layer has 4"),
    "back, not square": (lambda: Recurrent(0, drawn(4, 3)), "from 3 to 4 neurons; as many expected"),
    "back, a layer below 0": (lambda: Recurrent(-1, drawn(4, 4)), "recurrent: layer -1"),
    "back with neurons": (lambda: Recurrent(0, dense(2, 2, bias=[0, 0])), "neurons or biases of its own"),
    "back with a bias": (lambda: Recurrent(0, dense(2, 2, "readout", bias=[1, 0])), "neurons or biases of its own"),
    "back with two delays": (lambda: Recurrent(0, through(2, 2), 1), "a delay beside a connection"),
    "back with delays": (lambda: Recurrent(0, through(2, 2), [0, 0]), "a delay beside a connection"),
    "no weights": (lambda: Dense(np.zeros((0, 3), int)), r"weight: shape \(0, 3\); at least one input"),
    "biases": (lambda: Dense([[1, 0]], [0, 1]), r"bias: shape \(2,\); \(1,\) expected for weight \(1, 2\)"),
    "an activation": (lambda: Dense([[1]], activation=3), "activation 3: a name or a neuron expected"),  # type: ignore[arg-type]
    "no level": (lambda: Dense([[2]], levels=TERNARY), "value 2: not one of the levels"),
    "kernel channels": (
        lambda: Conv2d(drawn(2, 2, 2, 2), input_shape=(2, 4, 4), groups=2),
        r"2 input channels in shape .*; 1 expected .* in 2 group",
    ),
    "a flat shape": (lambda: Flatten(()), "such as"),
    "an empty shape": (lambda: Flatten((2, 0)), "such as"),
    "no shape": (lambda: Flatten(3), "such as"),  # type: ignore[arg-type]
    "a size of zero": (lambda: SumPool(0, input_shape=(1, 4, 4)), "pooling size 0; an integer of at least 1"),
    "a stride of zero": (lambda: SumPool(1, input_shape=(1, 4, 4), stride=0), "stride 0; an integer of at least 1"),
    "a padding below zero": (
        lambda: SumPool(1, input_shape=(1, 4, 4), padding=-1),
        "padding -1; an integer of at least 0",
    ),
    "a stride of a kernel": (lambda: conv(1, (1, 4, 4), stride=0), "stride 0; an integer of at least 1"),
    "a padding of a kernel": (lambda: conv(1, (1, 4, 4), padding=-1), "padding -1; an integer of at least 0"),
    "parameters of other neurons": (lambda: dense(3, 2, Lif((1, 2), voltage_decay=0)), "Dense"),
    "parameters of other pixels": (lambda: conv(3, (1, 3, 3), activation=Lif((1, 2), voltage_decay=0)), "Conv2d"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_by_name(case: str) -> None:
    make, says = REFUSED[case]
    with pytest.raises(InputError, match=says):
        make()


def test_what_is_only_just_allowed() -> None:
    assert np.array_equal(Conv2d([[[[1]]]], input_shape=(1, 2, 2)).weight, [[[[1]]]])
    skipping(Residual(INPUT_LAYER, 1), Residual(2, 4, through(3, 24)))
    to_itself(Recurrent(0, through(4, 4)))
    cn.DiscreteNetwork(
        [
            SumPool(1, input_shape=(1, 4, 4)),
            conv(1, (1, 4, 4)),
            MaxPool(2, input_shape=(1, 3, 3)),
            MaxPool(1, input_shape=(1, 1, 1)),
            through(2, 1),
        ]
    )
    cn.DiscreteNetwork([GRADED, conv(1, (1, 3, 3)), MaxPool(2, input_shape=(1, 2, 2)), through(2, 1)])
    cn.DiscreteNetwork([MaxPool(2, input_shape=(1, 2, 2)), Flatten((1, 1, 1)), through(2, 1)])
    first = [conv(1, (1, 4, 4)), Flatten((1, 3, 3)), MaxPool(3, input_shape=(1, 3, 3)), through(2, 1)]
    cn.DiscreteNetwork(first)
    wider = [dense(5, 3), dense(5, 5), dense(5, 5), through(2, 5)]
    cn.DiscreteNetwork(wider, residuals=[Residual(0, 2), Residual(INPUT_LAYER, 2, through(5, 3))])
    with pytest.raises(InputError, match=r"shape \(3,\) cannot be added to layer 1"):
        cn.DiscreteNetwork(wider, residuals=[Residual(INPUT_LAYER, 1)])
    per_channel = conv(2, (1, 3, 3), activation=Lif((1, 2), voltage_decay=0))
    assert list(per_channel.neuron.threshold) == [1] * 4 + [2] * 4  # type: ignore[attr-defined]
    assert issubclass(Dense, Weighted)
