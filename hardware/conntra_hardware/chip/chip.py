"""A chip's limits and geometry, read from ``limits/*.toml`` where a citation stands beside every number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from conntra_hardware.base.citation import Cited, cited_from_table, read_toml
from conntra_hardware.base.errors import InputError, in_short
from conntra_hardware.base.suggest import did_you_mean

__all__ = ["Chip", "Cited", "chip_names", "load_chip"]

_CHIPS = Path(__file__).parent / "limits"
_SEVERAL = re.compile(r"(?P<name>.+?)x(?P<chips>[1-9][0-9]*)")


@dataclass(frozen=True)
class Chip:
    """Limits of one kind of chip, or of several of it side by side; every limit's citation is ``cited[name]``.

    Cores are numbered 0 .. cores-1, ``cores_per_tile`` to a tile, tiles row by row on a mesh of ``tiles_x`` by
    ``tiles_y``. With ``chips`` > 1, core ``k * cores + c`` is core c of chip k; chips stand row by row, ``chips_x``
    to a row, and their meshes join at the edges. A limit of None is one the chip does not have or nobody has
    published.

    name, description         for people; ``name`` is what ``load_chip`` takes
    neurons_per_core          most neurons on a core; ``input_axons_per_core`` and ``output_axons_per_core`` alike
    synapse_memory_bits       of a core, in words of ``memory_word_bits``
    weight_bits               widths that the weights of a synapse list may have; values are from ``weight_min`` to
                              ``weight_max``
    index_bits                widths that a target index may have
    encodings                 of synapse lists: "dense", "sparse", "conv"; see ``fit.synapse_memory``
    neuron_memory_bits        what a neuron takes of a memory that it shares with the synapses, and an axon
                              (``axon_memory_bits``); both are 0 where they have memories of their own
    bias_mantissa_bits        bits of a bias, signed, which is shifted by an exponent of at most ``bias_exponent_max``
    potential_bits            bits of the register of a potential, signed
    threshold_configurations  different thresholds that the neurons of a core may have
    delay_bits                bits of a synapse's delay
    spike_bits                1 for spikes without a value; more are the bits of a graded spike
    max_chips                 the most chips that somebody has put on one board
    coefficients              the sets that price a program, by name
    """

    name: str
    description: str
    cores: int
    cores_per_tile: int
    tiles_x: int
    tiles_y: int
    neurons_per_core: int
    input_axons_per_core: int | None
    output_axons_per_core: int | None
    synapse_memory_bits: int
    weight_bits: tuple[int, ...]
    weight_min: int
    weight_max: int
    bias_mantissa_bits: int
    bias_exponent_max: int
    potential_bits: int
    threshold_configurations: int
    cited: Mapping[str, Cited] = field(default_factory=dict, repr=False, compare=False)
    coefficients: tuple[str, ...] = ()
    encodings: tuple[str, ...] = ("dense", "sparse")
    index_bits: tuple[int, ...] = (6, 7, 8, 9, 10, 11, 12)
    memory_word_bits: int = 64
    neuron_memory_bits: int = 0
    axon_memory_bits: int = 0
    spike_bits: int = 1
    delay_bits: int = 6
    max_chips: int = 1
    chips: int = 1

    @property
    def total_cores(self) -> int:
        """Number of cores on all chips together."""
        return self.cores * self.chips

    @property
    def chips_x(self) -> int:
        """Number of chips in a row: chips stand in the squarest grid that holds them."""
        return int((self.chips - 1) ** 0.5) + 1

    def chip_of(self, core: int) -> int:
        """Return the chip that holds ``core``."""
        return core // self.cores

    def tile(self, core: int) -> tuple[int, int]:
        """Return the mesh position (x, y) of the tile that holds ``core``, counted over all chips."""
        chip, within = divmod(core, self.cores)
        tile = within // self.cores_per_tile
        x, y = tile % self.tiles_x, tile // self.tiles_x
        return chip % self.chips_x * self.tiles_x + x, chip // self.chips_x * self.tiles_y + y

    def hops(self, source: int, target: int) -> tuple[int, int]:
        """Return the (east-west, north-south) hops from core ``source`` to core ``target``, dimension-ordered."""
        (x0, y0), (x1, y1) = self.tile(source), self.tile(target)
        return abs(x1 - x0), abs(y1 - y0)

    def crossings(self, source: int, target: int) -> int:
        """Return how many of the hops from core ``source`` to core ``target`` lead from one chip to the next."""
        (y0, x0), (y1, x1) = (
            divmod(self.chip_of(source), self.chips_x),
            divmod(self.chip_of(target), self.chips_x),
        )
        return abs(x1 - x0) + abs(y1 - y0)

    def times(self, chips: int) -> Chip:
        """Return ``chips`` of this chip side by side; InputError where there is no board with so many."""
        if not 1 <= chips <= self.max_chips:
            raise InputError(f"chip {self.name}: {chips} of them; 1 to {self.max_chips} allowed")
        base = self.name if self.chips == 1 else self.name.rpartition("x")[0]
        return replace(self, chips=chips, name=base if chips == 1 else f"{base}x{chips}")


def chip_names() -> tuple[str, ...]:
    """Return the names of the chips that come with the package."""
    return tuple(sorted(path.stem for path in _CHIPS.glob("*.toml")))


def load_chip(name_or_path: str | Path) -> Chip:
    """Return the chip called ``name_or_path``: a name of ``chip_names()``, "NAMExN" for N of it, or a TOML file.

    Raises InputError for an unknown chip, FileFormatError for a file that does not describe one.
    """
    text = str(name_or_path)
    if text in chip_names():
        return _packaged(text)
    several = _SEVERAL.fullmatch(text)
    if several and several["name"] in chip_names():
        return _packaged(several["name"]).times(int(several["chips"]))
    if text.endswith(".toml"):
        return _read(Path(text))
    names = ", ".join(chip_names())
    meant = did_you_mean(text, chip_names())
    raise InputError(f"chip {text!r}: unknown{meant}; allowed: {names}, several of one as in loihi1x2, or a .toml file")


@cache  # files of the package do not change while it runs; each takes 8 ms to parse
def _packaged(name: str) -> Chip:
    return _read(_CHIPS / f"{name}.toml")


def _read(path: Path) -> Chip:
    what = f"chip file {path.name}"
    table = read_toml(path, what)
    plain = {"name": str, "description": str, "coefficients": list}
    values: dict[str, Any] = {}
    for key, kind in plain.items():
        if not isinstance(table.get(key), kind):
            raise InputError(
                f"{what}: {key} is missing or not a {kind.__name__}; see the chips that come with the package"
            )
        values[key] = table[key]
    limits = table.get("limits", {})
    cited = {key: cited_from_table(entry, f"{what}: limits.{key}") for key, entry in limits.items()}
    known = {f.name: f for f in fields(Chip)}
    unknown = sorted(set(cited) - set(known))
    if unknown:
        raise InputError(f"{what}: unknown limits {', '.join(unknown)}; allowed: {', '.join(sorted(known))}")
    values |= {key: _limit(key, entry, f"{what}: limits.{key}") for key, entry in cited.items()}
    missing = [
        key for key, f in known.items() if f.default is MISSING and f.default_factory is MISSING and key not in values
    ]
    if missing:
        raise InputError(f"{what}: limits {', '.join(missing)} missing; give each a table of value, unit and source")
    values["coefficients"] = tuple(values["coefficients"])
    chip = Chip(**values, cited=cited)
    if chip.cores > chip.tiles_x * chip.tiles_y * chip.cores_per_tile:
        raise InputError(
            f"{what}: {chip.cores} cores do not fit {chip.tiles_x} x {chip.tiles_y} tiles of {chip.cores_per_tile}"
        )
    return chip


_SIGNED = ("weight_min", "weight_max")
_LISTS = {"weight_bits": int, "index_bits": int, "encodings": str}
_LARGEST = 2**53
_MAY_LACK = ("input_axons_per_core", "output_axons_per_core")


def _limit(key: str, entry: Cited, what: str) -> Any:
    """Return a limit's value: an integer of at least 1, or signed where it is a weight; a tuple; None for "none"."""
    if entry.value == "none" and key in _MAY_LACK:
        return None
    if key in _LISTS:
        kind = _LISTS[key]
        if not isinstance(entry.value, tuple) or not entry.value or any(type(v) is not kind for v in entry.value):
            raise InputError(f"{what}: {in_short(entry.value)}; a list of {kind.__name__} expected")
        return entry.value
    number = isinstance(entry.value, (int, float)) and abs(entry.value) < _LARGEST
    if not number or not float(entry.value).is_integer():  # type: ignore[arg-type]  # a number, as the line above says
        allowed = 'an integer, or "none"' if key in _MAY_LACK else "an integer"
        raise InputError(f"{what}: {in_short(entry.value)}; {allowed} below 2^53 expected")
    whole = int(entry.value)  # type: ignore[arg-type]
    if whole < 1 and key not in _SIGNED:
        raise InputError(f"{what}: {whole}; at least 1 expected")
    return whole
