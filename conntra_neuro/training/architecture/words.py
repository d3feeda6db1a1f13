"""What a network to train looks like, in words: ``"conv16k5s2,maxpool2,conv32k3p1,256"``.

Hidden layers from the first to the last, parted by commas; the readout is added. A token is

    256                   a dense layer of 256 units
    conv16k5s2p1g4        a convolution to 16 channels: kernel 5 x 5, stride 2, padding 1, 4 groups (s1, p0, g1)
    conv16k3p2d2          dilation 2: the kernel's weights stand 2 pixels apart, so that it covers 5 x 5 (d1)
    dwconvk3s2p1          a depthwise convolution: each channel on its own
    maxpool2s2            the largest of 2 x 2 binary spikes (an OR), windows 2 apart (side by side)
    sumpool2s2            their sum, on to the next layer

A convolution that ends in ``+N`` adds what its input was N layers before to its potentials: ``conv16k3p1,conv16k3p1+1``
is a residual block over two layers. Where the shapes differ a 1 x 1 convolution is trained in between. ``+NxS`` adds it
S times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_hardware.neurons import FORGETS, MAX_STEPS, IntegrateAndFire, Lif
from conntra_hardware.program.projection import LONGEST_DELAY

__all__ = ["Conv", "LayerSpec", "Neurons", "Pool", "as_specs", "names_of", "parse_layers", "parse_neurons"]

_TOKEN = "a width such as 256, conv16k5s2p1g4, conv16k3d2, dwconvk3, maxpool2 or sumpool2 expected"
_RECURRENT, _DELAYS = "+recurrent", "+delays"
_DECAYS = r"lif:(\d{1,4})(?::(\d{1,4}))?"
_PARTS = {"k": "kernel", "s": "stride", "p": "padding", "g": "groups", "d": "dilation"}


@dataclass(frozen=True)
class Conv:
    """A convolution; ``channels`` None: depthwise. ``skip``: what its input was so many layers before is added.

    ``scale`` times; a skip of 0 adds nothing. ``dilation`` is 1 where the kernel is one pixel.
    """

    channels: int | None
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    skip: int = 0
    scale: int = 1
    dilation: int = 1

    def __post_init__(self) -> None:
        sizes = (self.kernel, self.stride, self.groups, self.scale, self.dilation)
        counts = (*sizes, 1 if self.channels is None else self.channels)
        if min(counts) < 1 or min(self.padding, self.skip) < 0 or (self.channels is None and self.groups != 1):
            raise InputError(f"layer {self}: {_TOKEN}")
        if self.kernel == 1:
            object.__setattr__(self, "dilation", 1)

    def __str__(self) -> str:
        parts = f"dwconvk{self.kernel}" if self.channels is None else f"conv{self.channels}k{self.kernel}"
        parts += f"s{self.stride}" if self.stride > 1 else ""
        parts += f"p{self.padding}" if self.padding else ""
        parts += f"d{self.dilation}" if self.dilation != 1 else ""
        parts += f"g{self.groups}" if self.groups > 1 else ""
        parts += f"+{self.skip}" if self.skip else ""
        return parts + (f"x{self.scale}" if self.skip and self.scale > 1 else "")


@dataclass(frozen=True)
class Pool:
    """Pooling, ``kind`` "max" or "sum", of windows ``size`` x ``size``, ``stride`` apart."""

    kind: str
    size: int
    stride: int

    def __post_init__(self) -> None:
        if self.kind not in ("max", "sum") or min(self.size, self.stride) < 1:
            raise InputError(f"layer {self}: {_TOKEN}")

    def __str__(self) -> str:
        return f"{self.kind}pool{self.size}" + (f"s{self.stride}" if self.stride != self.size else "")


LayerSpec: TypeAlias = int | Conv | Pool


@dataclass(frozen=True)
class Neurons:
    """The kind of all hidden neurons: "threshold", "relu" (graded, Loihi 2), or over ``steps`` time steps "if"
    (integrate-and-fire) or "lif" (leaky, of both decays).

    Thresholds and shifts follow from the number of inputs of a layer, and of leaky neurons from the ``rate`` of the
    network's: the share of them that spike at a step. ``reset`` is that of the last two. ``recurrent``: the units of
    each dense hidden layer see each other's spikes a step later; leaky ones alone can. ``delays``: synapses to dense
    hidden layers of leaky neurons have delays of their own, up to so many steps. ``by_layer``: the decays of voltage
    and current of each hidden layer of leaky neurons; empty where all have the same.
    """

    kind: str = "threshold"
    steps: int = 1
    reset: str = "hard"
    voltage_decay: int = 0
    current_decay: int = FORGETS
    recurrent: bool = False
    delays: int = 0
    by_layer: tuple[tuple[int, int], ...] = ()
    rate: float = field(default=0.225, compare=False)

    def of_layer(self, number: int) -> Neurons:
        """Return the neurons of hidden layer ``number``, of those that have some; InputError where none are named."""
        if not self.by_layer:
            return self
        if number >= len(self.by_layer):
            named = len(self.by_layer)
            raise InputError(f"neuron {self}: decays of {named} layers; one a hidden layer expected, or one for all")
        voltage, current = self.by_layer[number]
        return replace(self, voltage_decay=voltage, current_decay=current, by_layer=())

    def __str__(self) -> str:
        reset = "" if self.reset == "hard" else self.reset
        if self.kind == "if":
            return f"if{self.steps}{reset}"
        if self.kind == "lif":
            decays = self.by_layer or ((self.voltage_decay, self.current_decay),)
            named = [f"lif:{v}" + ("" if u == FORGETS else f":{u}") for v, u in decays]
            more = f"{_RECURRENT if self.recurrent else ''}{f'{_DELAYS}{self.delays}' if self.delays else ''}"
            return f"{','.join(named)}{reset}{more}@{self.steps}"
        return self.kind


def parse_layers(text: str) -> tuple[LayerSpec, ...]:
    """Return the hidden layers that ``text`` names; "none" (or "0") is a readout alone, logistic regression."""
    if text.strip().lower() in ("none", "0", ""):
        return ()
    return tuple(_parse_token(token.strip().lower(), text) for token in text.split(","))


def as_specs(layers: str | Sequence[Any]) -> tuple[LayerSpec, ...]:
    """Return ``layers``, a text or a sequence of widths, tokens and specifications, as specifications."""
    if isinstance(layers, str):
        return parse_layers(layers)
    found: list[LayerSpec] = []
    for layer in layers:
        if isinstance(layer, str):
            found += parse_layers(layer)
        elif isinstance(layer, (Conv, Pool)):
            found.append(layer)
        elif isinstance(layer, (int, np.integer)) and not isinstance(layer, bool) and layer >= 1:
            found.append(int(layer))
        else:
            raise InputError(f"layers {list(layers)}: widths are integers of at least 1, or tokens; got {layer!r}")
    return tuple(found)


def names_of(specs: Sequence[LayerSpec]) -> tuple[int | str, ...]:
    """Return widths as they are and other layers as their tokens: what ``as_specs`` reads, and JSON holds."""
    return tuple(spec if isinstance(spec, int) else str(spec) for spec in specs)


_NEURON_WORDS = (
    *("threshold", "relu", "if8", "if8soft"),
    *("lif:163:1024", "lif:163:1024soft", "lif:163+recurrent", "lif:163+delays7"),
)


def parse_neurons(text: str | Neurons, steps: int | None = None, recurrent: bool = False, delays: int = 0) -> Neurons:
    """Return the neurons that ``text`` names: "threshold", "relu", "if8" (hard reset), "if8soft", "lif:163:1024".

    "lif:163,lif:1024:512" has decays for each of two hidden layers; what follows them (soft, +recurrent, @40) is of
    all. ``steps`` are those of leaky neurons; "lif:163@40" has them of its own. ``recurrent`` makes dense hidden layers
    recurrent, as "lif:163+recurrent" does; ``delays`` gives their synapses delays, as "lif:163+delays7" does.
    InputError for anything else.
    """
    found = text if isinstance(text, Neurons) else _parse_neurons(text, steps)
    if recurrent and found.kind != "lif":
        raise InputError(f"recurrent: {text!r} neurons cannot be trained with it; lif:VOLTAGE_DECAY neurons can")
    whole(delays, "delays", 0, LONGEST_DELAY)
    if delays and found.kind != "lif":
        raise InputError(f"delays {delays}: {text!r} neurons are trained without; lif:VOLTAGE_DECAY neurons with")
    longest = delays or found.delays
    if longest >= found.steps > 1:
        raise InputError(f"delays {longest}: samples have {found.steps} time steps; 0 to {found.steps - 1} allowed")
    return replace(found, recurrent=found.recurrent or recurrent, delays=longest)


def _parse_neurons(text: str, steps: int | None) -> Neurons:
    if text in ("threshold", "relu"):
        return Neurons(text)
    *others, last = text.split(",")
    leaky = re.fullmatch(rf"{_DECAYS}(hard|soft)?(\+recurrent)?(?:\+delays(\d{{1,2}}))?(?:@(\d{{1,4}}))?", last)
    before = [found for found in (re.fullmatch(_DECAYS, other) for other in others) if found]
    if leaky and len(before) == len(others):
        return _leaky(text, [*before, leaky], steps)
    found = re.fullmatch(r"if(\d{1,4})(hard|soft)?", text)
    if not found:
        raise InputError(
            f"neuron {text!r}: unknown{'' if text.startswith('lif') else did_you_mean(text, _NEURON_WORDS)}; "
            "allowed: threshold, relu, ifT or ifTsoft with T time steps, as in if8, and "
            "lif:VOLTAGE_DECAY[:CURRENT_DECAY] or the like with soft, as in lif:163:1024soft; with commas one a layer"
        )
    steps = int(found[1])
    IntegrateAndFire(1, steps)  # says what is allowed
    return Neurons("if", steps, found[2] or "hard")


def _leaky(text: str, found: Sequence[re.Match[str]], steps: int | None) -> Neurons:
    reset, back, late, own = found[-1].groups()[2:]
    if own is not None and steps is not None and int(own) != steps:
        raise InputError(f"neuron {text!r}: {own} time steps of its own, {steps} given; leave one of them out")
    taken = int(own) if own is not None else steps
    if taken is None:
        raise InputError(f"neuron {text!r}: lives in time; give the time steps of a sample, --steps T")
    whole(taken, "steps", 1, MAX_STEPS)
    decays = [_decays(layer[1], layer[2]) for layer in found]
    by_layer = tuple(decays) if len(decays) > 1 else ()
    more = {"recurrent": back is not None, "delays": whole(int(late or 0), "delays", 0, LONGEST_DELAY)}
    return Neurons("lif", taken, reset or "hard", *decays[0], **more, by_layer=by_layer)


def _decays(voltage: str, current: str | None) -> tuple[int, int]:
    decays = int(voltage), FORGETS if current is None else int(current)
    Lif(1, voltage_decay=decays[0], current_decay=decays[1])  # says what is allowed
    return decays


def _parse_token(token: str, text: str) -> LayerSpec:
    if token.isdecimal() and int(token) > 0:
        return int(token)
    pool = re.fullmatch(r"(max|sum)pool(\d+)(?:s(\d+))?", token)
    conv = re.fullmatch(r"(?:conv(\d+)|(dwconv))((?:[kspgd]\d+)+)(?:\+(\d+)(?:x(\d+))?)?", token)
    try:
        if pool:
            return Pool(pool[1], int(pool[2]), int(pool[3] or pool[2]))
        if conv:
            return _conv(*conv.groups())
    except InputError:
        pass
    raise InputError(f"layers {text!r}: {token!r} is no layer; {_TOKEN}")


def _conv(channels: str | None, depthwise: str | None, parts: str, skip: str | None, scale: str | None) -> Conv:
    numbers = re.findall(r"([kspgd])(\d+)", parts)
    given = {_PARTS[letter]: int(number) for letter, number in numbers}
    if len(given) < len(numbers) or "kernel" not in given:
        raise InputError(f"layer {parts}: {_TOKEN}")
    if skip is not None and int(skip) < 1:
        raise InputError(f"layer +{skip}: {_TOKEN}")
    return Conv(None if depthwise else int(channels or 0), skip=int(skip or 0), scale=int(scale or 1), **given)
