"""From the blocks of a .net file to a network, exactly: the chip's own integers on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import MALFORMED, ConntraError, FileFormatError, InputError, in_short
from conntra_hardware.neurons import FORGETS, Lif, Neuron, Readout, Threshold
from conntra_hardware.program.input_encoding import DrivenEncoder, Encoder
from conntra_neuro.exchange.assume import steps_or_assumed
from conntra_neuro.exchange.lava_dl.blocks import Block, ChangeValues, NeuronValues, read_blocks
from conntra_neuro.exchange.lava_dl.sigma_delta import change_neuron, delta_input
from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, Flatten, Recurrent
from conntra_neuro.network.layers import Layer

__all__ = ["SEMANTICS", "read_lava_dl"]

SEMANTICS = ("slayer", "slayer-0.3", "lava")
"""Whose rules: those of lava-dl's training since 0.4, those of before, or those of Lava's loader."""

_NEVER = 2**17 - 1
"""The largest threshold of the chip: lava-dl gives it to a last layer whose potential is read."""


def read_lava_dl(
    path: str | Path,
    steps: int | None = None,
    semantics: str | None = None,
    drive: int | None = None,
    assumed: list[str] | None = None,
    frames: bool | None = None,
) -> DiscreteNetwork:
    """Return the network in a .net file of lava-dl: input, dense, dense_rec, conv, flatten and average blocks, CUBA,
    LOIHI and SDNN neurons, delays, weight exponents, refractory delays.

    steps      time steps of a sample, which the file does not say
    semantics  "slayer" (None): as lava-dl trains: neurons spike above the threshold, and a recurrent block's delays are
               those of its outputs; "slayer-0.3": as before lava-dl 0.4, when CUBA neurons spiked at the threshold;
               "lava": as Lava's loader runs files: above it, and a way back takes as long as the block's inputs
    drive      without an input block: features are encoded by neurons that add them up and fire above this threshold
    assumed    gets a line where steps, and the rule at the threshold, are assumed; None: such steps are refused
    frames     with an input block of SDNN neurons: a sample's features are a frame for each step, and not one for all

    Neurons of an input block become the encoder: features are what drives them, integers in weight units, in the order
    (channels, height, width); SDNN neurons there become a layer besides. A last layer whose threshold is the largest
    there is has its potential read, in 64ths of a weight where it leaks; else its spikes are counted. An average block
    sums the outputs of each group. FileFormatError for a file that is damaged, InputError for
    what has no counterpart.
    """
    rule = semantics or "slayer"
    if rule not in SEMANTICS:
        raise InputError(f"semantics {semantics!r}: unknown; allowed: {', '.join(SEMANTICS)}")
    try:
        blocks = read_blocks(path)
    except ConntraError:  # it names what is wrong
        raise
    except (OSError, RuntimeError, *MALFORMED) as error:
        raise FileFormatError(f"{path}: not a sound .net file ({in_short(error)}); export it again") from None
    refusal = f"{path}: lava-dl's files do not say how many time steps a sample takes; give --steps T"
    steps = steps_or_assumed(steps, assumed, refusal)
    if semantics is None and assumed is not None and any(getattr(b.neuron, "kind", "") == "CUBA" for b in blocks):
        assumed.append(
            "CUBA neurons spike above the threshold, as lava-dl since 0.4 (trained before: --semantics slayer-0.3)"
        )
    first, *rest = blocks
    encoder: Encoder | None = None
    layers: list[Layer] = []
    if frames and not (first.kind == "input" and isinstance(first.neuron, ChangeValues)):
        raise InputError(f"{path}: no input block of SDNN neurons; leave --frames out")
    if first.kind == "input":
        if isinstance(first.neuron, ChangeValues):
            encoder, layer = delta_input(first.neuron, first.shape, steps, steps if frames else 1)
            layers += [layer] if len(first.shape) == 3 else [layer, Flatten(layer.output_shape)]
        elif first.neuron is not None:
            encoder = DrivenEncoder(_lif(first.neuron, rule), int(np.prod(first.shape)), steps)
        blocks = rest
    if drive is not None:
        if encoder is not None:
            raise InputError(f"{path}: its input block has neurons of its own; leave --drive out")
        encoder = DrivenEncoder(Lif(drive, voltage_decay=0), _inputs(blocks[0], first.shape), steps)
    if not blocks:
        raise InputError(f"{path}: an input block alone; at least one layer expected")
    recurrent = _add_layers(path, blocks, first.shape if first.kind == "input" else None, rule, layers, steps)
    return DiscreteNetwork(layers, encoder, steps=steps, recurrent=recurrent)


def _add_layers(
    path: str | Path,
    blocks: Sequence[Block],
    shape: tuple[int, ...] | None,
    rule: str,
    layers: list[Layer],
    steps: int,
) -> list[Recurrent]:
    """Add the layers of ``blocks`` to ``layers``, and return what leads from one to itself."""
    recurrent: list[Recurrent] = []
    late: IntArray | None = None  # by how many steps the outputs of the block before come later
    for number, block in enumerate(blocks):
        where = f"{path}: {block.where}"
        if block.kind == "input":
            raise InputError(f"{where}: only the first block may be an input")
        n_in = _inputs(block, shape)
        if shape is not None and n_in != int(np.prod(shape)):
            raise InputError(f"{where}: takes {n_in} inputs, the block before gives {shape}")
        if block.kind == "flatten":
            assert shape is not None or n_in
            layers.append(Flatten(shape or (n_in,)))
            shape = (n_in,)
            continue
        last = number == len(blocks) - 1
        if block.kind == "average":
            layers.append(_groups(block, n_in, last, where, late))
            late = None
            continue
        assert block.weight is not None
        neuron, shift = _neuron(block, rule, steps, last, where)
        own = _delay(block, n_in, where)
        back: int | IntArray = 0
        behind: IntArray | None = None
        if block.recurrent is not None and block.delay is not None:
            n_out = len(block.weight)
            by_neuron = np.broadcast_to(own, (n_out, n_in))[:, :1] if block.delay.size in (1, n_out) else None
            if not isinstance(block.neuron, NeuronValues):
                raise InputError(f"{where}: delays beside a way back of neurons that are not leaky; export it without")
            own, back, behind = _ways(own, by_neuron, rule, where)
        options: dict[str, Any] = {"delay": own if late is None else np.broadcast_to(own, block.weight.shape) + late}
        late = behind
        bias = _bias(block, len(block.weight), where)
        bias = None if bias is None else bias << shift
        if block.kind == "conv":
            if shape is None or len(shape) != 3:
                raise InputError(f"{where}: a convolution of inputs of shape {shape}; an input block has to say it")
            assert block.window is not None
            layer: Layer = Conv2d(block.weight, bias, neuron, input_shape=shape, **block.window, **options)
        else:
            layer = Dense(block.weight, bias, neuron, **options)
        expected = int(np.prod(block.shape))
        if layer.n_out != expected:
            raise InputError(f"{where}: its weights make {layer.n_out} neurons, its shape says {block.shape}")
        if block.recurrent is not None:
            recurrent.append(Recurrent(len(layers), block.recurrent, back))
        layers.append(layer)
        shape = layer.output_shape
        if (
            last and late is not None and late.any() and neuron.spikes
        ):  # neurons that send on what they take, each at its time
            relay = np.eye(len(late), dtype=np.int64)
            layers.append(Dense(relay, None, Threshold(), delay=np.broadcast_to(late, relay.shape)))
    return recurrent


def _ways(
    own: int | IntArray, by_neuron: IntArray | None, rule: str, where: str
) -> tuple[int | IntArray, int | IntArray, IntArray | None]:
    """Return the delays of a recurrent block's inputs, of its way back, and of its outputs, each None or 0 without.

    ``own`` as Lava's loader takes it; ``by_neuron`` (n_out, 1) where it is one a neuron.
    """
    if by_neuron is None and rule != "lava":
        return own, 0, None
    if by_neuron is None:
        raise InputError(f"{where}: delays by input beside a way back; one for all, or one a neuron expected")
    if rule == "lava":
        return own, np.repeat(by_neuron, len(by_neuron), axis=1), None
    return 0, 0, by_neuron.ravel()


def _neuron(block: Block, rule: str, steps: int, last: bool, where: str) -> tuple[Neuron, int]:
    """Return the neurons of a block, and by how many bits its bias is shifted."""
    values = block.neuron
    if isinstance(values, ChangeValues):
        neuron, shift = change_neuron(block, values, rule, where)
    elif values is None:  # lava-dl's loader puts a neuron there that adds nothing up and never spikes
        neuron, shift = Readout(), 0
    else:
        neuron, shift = (_last(values, rule, steps) if last else _lif(values, rule)), 0
    if not neuron.spikes and not last:
        raise InputError(f"{where}: neurons that never spike; only those of the last block are read")
    return neuron, shift


def _groups(block: Block, n_in: int, last: bool, where: str, late: IntArray | None) -> Dense:
    """Return an average block: as many outputs in a row as each of its groups has, summed."""
    groups = int(np.prod(block.shape))
    if not last or n_in % groups:
        raise InputError(
            f"{where}: {groups} groups of {n_in} outputs; the last block, and groups of one size, expected"
        )
    weight = np.kron(np.eye(groups, dtype=np.int64), np.ones((1, n_in // groups), np.int64))
    return Dense(weight, None, Readout(), delay=0 if late is None else np.broadcast_to(late, weight.shape))


def _inputs(block: Block, shape: tuple[int, ...] | None) -> int:
    """Return how many inputs a block takes."""
    if block.kind in ("flatten", "conv") or block.weight is None:
        return int(np.prod(shape if shape is not None else block.shape))
    return block.weight.shape[1]


def _lif(values: NeuronValues, rule: str) -> Lif:
    return Lif(
        values.threshold,
        voltage_decay=values.voltage_decay,
        current_decay=values.current_decay,
        refractory=values.refractory,
        strict=rule != "slayer-0.3" or values.kind == "LOIHI",
    )


def _last(values: NeuronValues, rule: str, steps: int) -> Neuron:
    if values.threshold < _NEVER:
        return _lif(values, rule)
    if steps == 1 or (values.voltage_decay, values.current_decay) == (0, FORGETS):
        return Readout()
    return Readout("last", voltage_decay=values.voltage_decay, current_decay=values.current_decay)


def _bias(block: Block, size: int, where: str) -> IntArray | None:
    if block.bias is None:
        return None
    if block.bias.size not in (1, size):
        raise InputError(f"{where}: {block.bias.size} biases; one, or {size} expected")
    return np.broadcast_to(block.bias, size)


def _delay(block: Block, n_in: int, where: str) -> int | IntArray:
    """Return the delay of a block: one a neuron is that of all its inputs, as Lava's loader has it."""
    if block.delay is None:
        return 0
    assert block.weight is not None
    n_out = len(block.weight)
    if block.delay.ndim == 2:
        return block.delay
    if block.delay.size == 1:
        return int(block.delay[0])
    if block.kind != "conv" and block.delay.size == n_out:
        return np.repeat(block.delay[:, None], n_in, axis=1)
    if block.delay.size != n_in:
        raise InputError(
            f"{where}: {block.delay.size} delays; one, one a neuron ({n_out}), or one an input ({n_in}) expected"
        )
    return block.delay
