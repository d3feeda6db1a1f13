"""lava-dl's sigma-delta blocks, as Lava's loader builds them: 6 binary places for states, 6 for graded spikes.

The loader hands the file's threshold and bias to Lava's ``SigmaDelta`` with ``state_exp`` 6 and ``spike_exp`` 6, which
multiplies both by 2^12 and shifts spikes by 6. An input block is Lava's ``Delta``: it sends what its data changed by,
times 64, where that is at least the threshold.
"""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron, SigmaDelta
from conntra_hardware.program.input_encoding import ChangeEncoder
from conntra_neuro.exchange.lava_dl.blocks import Block, ChangeValues
from conntra_neuro.network import Conv2d

__all__ = ["change_neuron", "delta_input"]

STATE_BITS = SPIKE_BITS = 6
"""``state_exp`` and ``spike_exp`` of lava-dl's loader."""


def delta_input(values: ChangeValues, shape: tuple[int, ...], steps: int, frames: int) -> tuple[ChangeEncoder, Conv2d]:
    """Return an input block: the encoder of changes, and the neurons that put them together and send them.

    Data of ``shape``, (channels, height, width) or (values,), whole numbers, as the block's process takes them.
    """
    channels, height, width = shape if len(shape) == 3 else (1, *shape) if len(shape) == 2 else (1, 1, *shape)
    encoder = ChangeEncoder(channels * height * width, steps, frames, channels)
    unit = 1 << SPIKE_BITS
    lines = len(encoder.weights)
    kernel = np.tile((unit * encoder.weights).reshape(1, lines, 1, 1), (channels, 1, 1, 1))
    neuron = SigmaDelta(values.threshold * unit, activation="linear")
    return encoder, Conv2d(kernel, None, neuron, input_shape=(channels * lines, height, width), groups=channels)


def change_neuron(block: Block, values: ChangeValues, rule: str, where: str) -> tuple[Neuron, int]:
    """Return the neurons of a block, and by how many bits its bias is shifted.

    Lava's loader takes the activation for ReLU, whatever it is: by another ``rule`` than "lava" others are refused.
    """
    if values.summed:
        if block.bias is not None and block.bias.any():
            raise InputError(f"{where}: a sigma output with a bias, which Lava's Sigma has not; export it without")
        # What it sends adds up to its sum, which may have 24 bits; a readout's potential stands as 64 times as much.
        return SigmaDelta(0, activation="linear"), 0
    if rule != "lava" and values.activation != "relu":
        raise InputError(
            f"{where}: activation {values.activation!r} has no counterpart here; relu has, and is what Lava's loader "
            "runs: --semantics lava"
        )
    bits = STATE_BITS + SPIKE_BITS
    return SigmaDelta(values.threshold << bits, STATE_BITS), bits
