"""What a .net file of lava-dl says, block by block, checked and in integers; nothing of it is rounded.

The file is HDF5: ``layer/N`` with ``type``, ``shape``, ``weight``, ``bias``, ``delay`` and ``neuron``. Values are the
chip's own integers, kept as floats: one that is none is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_neuro.exchange.hdf5 import check_hdf5

if TYPE_CHECKING:
    import h5py

__all__ = ["KINDS", "NEURONS", "Block", "NeuronValues", "read_blocks"]

KINDS = ("input", "dense", "dense_rec", "conv", "flatten", "average")
"""The blocks that can be read."""
NEURONS = ("CUBA", "LOIHI", "SDNN")
"""The neurons that can be read: the first two are Loihi's leaky integrate-and-fire, the third is sigma-delta."""

_MOST_LAYERS = 1000


@dataclass(frozen=True)
class NeuronValues:
    """A block's neurons: ``kind`` as the file names it, decays of 4,096, the threshold in weight units.

    ``refractory``: the steps after a spike in which there is no other; ``weight_exponent`` scales the weights.
    """

    kind: str
    current_decay: int
    voltage_decay: int
    threshold: int
    refractory: int
    weight_exponent: int


@dataclass(frozen=True)
class ChangeValues:
    """A block's sigma-delta neurons: the threshold and the name of the activation as the file has them.

    ``summed``: it is a sigma output, which adds up and sends its sum.
    """

    threshold: int
    activation: str
    summed: bool


@dataclass(frozen=True, eq=False)
class Block:
    """Block ``index`` of a file. ``shape`` is that of its outputs, (channels, height, width) or (neurons,).

    Arrays that it does not have are None: ``weight`` (out, in) or (out, in / groups, height, width), ``recurrent``
    (out, out), ``bias`` (out,), ``delay`` (out,), (in,) or one number. ``window`` holds stride, padding, dilation and
    groups. A dense block without a ``neuron`` adds nothing up and never spikes.
    """

    index: int
    kind: str
    shape: tuple[int, ...]
    neuron: NeuronValues | ChangeValues | None = None
    weight: IntArray | None = None
    recurrent: IntArray | None = None
    bias: IntArray | None = None
    delay: IntArray | None = None
    window: dict[str, Any] | None = None

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"layer {self.index} ({self.kind})"


def read_blocks(path: str | Path) -> list[Block]:
    """Return the blocks of a .net file, in order.

    FileFormatError where it is none, damaged, or lacks what a block has to have; InputError for blocks and neurons that
    are not known, and for values that are no integers.
    """
    import h5py

    roots = check_hdf5(path, ".net")
    if "layer" not in roots:
        kind = "a NIR graph: name it .nir, or give --format nir" if "node" in roots else "no network of lava-dl"
        raise FileFormatError(f"{path}: it has no group 'layer': {kind}")
    with h5py.File(path, "r") as file:
        layers = file["layer"]
        if not isinstance(layers, h5py.Group) or not 1 <= len(layers) <= _MOST_LAYERS:
            raise FileFormatError(f"{path}: 'layer' holds no layers, or more than {_MOST_LAYERS:,}")
        names = sorted(layers, key=lambda name: (len(name), name))
        if names != [str(index) for index in range(len(names))]:
            raise FileFormatError(f"{path}: layers {', '.join(names[:5])}, ...; 0, 1, 2, ... expected")
        return [_Reader(path, index, layers[name]).block() for index, name in enumerate(names)]


class _Reader:
    """Reads one layer's group."""

    def __init__(self, path: str | Path, index: int, group: Any) -> None:
        self._path, self._index, self._group = path, index, group
        self._kind = self._text("type")

    @property
    def _where(self) -> str:
        return f"{self._path}: layer {self._index}"

    def block(self) -> Block:
        """Return the block."""
        if self._kind not in KINDS:
            raise InputError(
                f"{self._where}: a block of type {self._kind!r} has no counterpart here; {', '.join(KINDS)} have"
            )
        if self._kind == "flatten" and "shape" not in self._group:
            return Block(self._index, self._kind, (1,))
        shape = tuple(int(n) for n in self._integers("shape").ravel())
        if not shape or min(shape) < 1 or len(shape) > 3:
            raise FileFormatError(f"{self._where}: shape {shape}; one to three positive numbers expected")
        if self._kind in ("flatten", "average"):
            return Block(self._index, self._kind, shape)
        if self._kind == "input":
            return Block(self._index, self._kind, shape, self._neuron() if "neuron" in self._group else None)
        neuron = None if self._kind == "dense" and "neuron" not in self._group else self._neuron()
        exponent = neuron.weight_exponent if isinstance(neuron, NeuronValues) else 0
        weight = self._weight("weight", exponent)
        window = self._window() if self._kind == "conv" else None
        recurrent = None
        if self._kind == "dense_rec":
            recurrent = self._weight("weight_rec", exponent)
        bias = self._integers("bias").ravel() if "bias" in self._group else None
        delay = self._integers("delay").ravel() if "delay" in self._group else None
        return Block(self._index, self._kind, shape, neuron, weight, recurrent, bias, delay, window)

    def _weight(self, name: str, exponent: int) -> IntArray:
        weight = self._integers(name)
        if self._kind == "conv":
            if weight.ndim == 5 and weight.shape[4] == 1:
                weight = weight[..., 0]
            if weight.ndim != 4:
                raise FileFormatError(
                    f"{self._where}: {name} of shape {weight.shape}; (out, in, height, width) expected"
                )
        elif weight.ndim == 1:
            weight = weight[None, :]
        elif weight.ndim > 2:
            weight = weight.reshape(weight.shape[0], -1)
        if exponent >= 0:
            return weight << exponent
        if np.any(weight % (1 << -exponent)):
            raise InputError(f"{self._where}: weights times 2^{exponent} are no integers; train with wgtExp 0 or more")
        return weight >> -exponent

    def _window(self) -> dict[str, Any]:
        pairs = {}
        for name in ("stride", "padding", "dilation"):
            values = self._integers(name).ravel().tolist()
            if len(values) not in (1, 2):
                raise FileFormatError(f"{self._where}: {name} {values}; two numbers expected")
            pairs[name] = tuple(values) if len(values) == 2 else (values[0], values[0])
        return {**pairs, "groups": self._number("groups", self._group, 1)}

    def _neuron(self) -> NeuronValues | ChangeValues:
        group = self._group.get("neuron")
        if group is None or not hasattr(group, "keys"):
            raise FileFormatError(f"{self._where}: no group 'neuron'; export it again")
        kind = self._text("type", group)
        if kind not in NEURONS:
            raise InputError(f"{self._where}: {kind} neurons have no counterpart here; {', '.join(NEURONS)} have")
        if kind == "SDNN":
            activation = self._text("activation", group) if "activation" in group else "relu"
            return ChangeValues(
                self._number("vThMant", group), activation, bool(self._number("sigma_output", group, 0))
            )
        if self._number("gradedSpike", group, 0):
            raise InputError(
                f"{self._where}: graded spikes of {kind} neurons have no counterpart here; binary ones have"
            )
        refractory = self._number("refDelay", group, 1)
        return NeuronValues(
            kind,
            current_decay=self._number("iDecay", group),
            voltage_decay=self._number("vDecay", group),
            threshold=self._number("vThMant", group),
            refractory=max(refractory - 1, 0),  # a delay of 1 is the one step that every spike takes
            weight_exponent=self._exponent(group),
        )

    def _exponent(self, group: h5py.Group) -> int:
        found = self._number("wgtExp", group, 0)
        if not -8 <= found <= 7:
            raise InputError(f"{self._where}: wgtExp {found}; -8 to 7 expected")
        return found

    def _number(self, name: str, group: Any, default: int | None = None) -> int:
        if name not in group:
            if default is None:
                raise FileFormatError(f"{self._where}: no {name!r}; export it again")
            return default
        values = self._integers(name, group).ravel()
        if values.size != 1:
            raise InputError(f"{self._where}: {values.size} values of {name}; one for all neurons can be read")
        return int(values[0])

    def _integers(self, name: str, group: Any = None) -> IntArray:
        group = self._group if group is None else group
        found = group.get(name)
        if found is None or not hasattr(found, "shape"):
            raise FileFormatError(f"{self._where}: no {name!r}; export it again")
        values = np.asarray(found[()])
        if values.dtype.kind not in "iufb" or not values.size:
            raise FileFormatError(f"{self._where}: {name} of type {values.dtype}; numbers expected")
        exact = np.asarray(values, np.float64)
        if not np.isfinite(exact).all() or np.any(exact != np.rint(exact)) or np.abs(exact).max() > 2**31 - 1:
            raise InputError(
                f"{self._where}: {name} holds values that are no 32-bit integers; quantise the network first"
            )
        return exact.astype(np.int64)

    def _text(self, name: str, group: Any = None) -> str:
        found = (self._group if group is None else group).get(name)
        if found is None or not hasattr(found, "shape"):
            raise FileFormatError(f"{self._where}: no {name!r}; export it again")
        value = found[()]
        value = value.ravel()[0] if isinstance(value, np.ndarray) and value.size else value
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
