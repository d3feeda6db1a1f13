"""Coefficient sets: what an event costs in energy and time, read from ``coefficients/*.toml``, each entry with its
source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from conntra_hardware.base.citation import Cited, cited_from_table, read_toml
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean

__all__ = ["Coefficients", "coefficient_names", "load_coefficients"]

_FOLDER = Path(__file__).parent / "coefficients"
_UNITS = {"J": 1.0, "nJ": 1e-9, "pJ": 1e-12, "s": 1.0, "us": 1e-6, "ns": 1e-9, "W": 1.0, "mW": 1e-3}
_SYNOPS = ("synop_dense", "synop_sparse", "synop_conv")
_ENERGIES = (*_SYNOPS, "neuron_access", "neuron_update", "spike", "packet_out", "packet_in", "hop_ew", "hop_ns")
_TIMES = (*_SYNOPS, "neuron_access", "neuron_update", "spike", "packet_out", "packet_in")
_BASELINES = ("horowitz2014",)


@dataclass(frozen=True)
class Coefficients:
    """Costs of events in SI units; ``cited["energy.spike"]`` is where ``energy_j["spike"]`` comes from.

    energy_j         joules an event: synop_dense, synop_sparse, synop_conv; neuron_access (every neuron at every step),
                     neuron_update (extra, where active), spike (extra); packet_out, packet_in, hop_ew, hop_ns;
                     chip_crossing
    latency_s        seconds an event, under the same names (hops take none in this model)
    synchronisation  seconds a time step by tiles in use: (tiles, seconds), ascending
                     an entry holds until the next ("step"), or ``synchronisation_between`` them is "linear"
    leakage_w        static power of a chip
    proxy            the figures are another chip's: say so wherever they are shown
    """

    name: str
    title: str
    description: str
    proxy: bool
    energy_j: Mapping[str, float]
    latency_s: Mapping[str, float]
    synchronisation: tuple[tuple[int, float], ...]
    synchronisation_between: str
    leakage_w: float
    cited: Mapping[str, Cited] = field(repr=False)

    def synchronisation_s(self, tiles: int) -> float:
        """Return the seconds that synchronising ``tiles`` takes, beyond the entries as the nearest one."""
        known, seconds = zip(*self.synchronisation, strict=True)
        if self.synchronisation_between == "linear":
            return float(np.interp(tiles, known, seconds))
        return float(seconds[max(int(np.searchsorted(known, tiles, side="right")) - 1, 0)])

    @property
    def provenance(self) -> str:
        """One line that belongs beside every figure priced with this set."""
        return f"modelled, not measured; coefficients {self.name}: {self.description}"


def coefficient_names() -> tuple[str, ...]:
    """Return the names of the sets that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml") if path.stem not in _BASELINES))


def load_coefficients(name_or_path: str | Path) -> Coefficients:
    """Return the set called ``name_or_path``, a name of ``coefficient_names()`` or a TOML file.

    Raises InputError for an unknown set, for a missing entry, and for an entry without unit or source.
    """
    text = str(name_or_path)
    if text not in coefficient_names() and not text.endswith(".toml"):
        names = ", ".join(coefficient_names())
        meant = did_you_mean(text, coefficient_names())
        raise InputError(f"coefficients {text!r}: unknown{meant}; allowed: {names}, or a .toml file")
    path = Path(text) if text.endswith(".toml") else _FOLDER / f"{text}.toml"
    what = f"coefficients {path.name}"
    table = read_toml(path, what)
    cited = read_entries(table, what)
    values = {key: in_si(entry, f"{what}: {key}") for key, entry in cited.items()}
    needed = [*(f"energy.{n}" for n in _ENERGIES), *(f"latency.{n}" for n in _TIMES), "static.leakage"]
    missing = [key for key in needed if key not in values]
    steps = sorted((_tiles(key, what), values[key]) for key in values if key.startswith("synchronisation."))
    if missing or not steps:
        raise InputError(
            f"{what}: {', '.join(missing) or 'synchronisation'} missing; give each its value, unit and source"
        )
    return Coefficients(
        name=str(table.get("name", path.stem)),
        title=str(table.get("title", path.stem)),
        description=str(table.get("description", "")),
        proxy=bool(table.get("proxy", False)),
        energy_j=_section(values, "energy"),
        latency_s=_section(values, "latency"),
        synchronisation=tuple(steps),
        synchronisation_between=_between(table, what),
        leakage_w=values["static.leakage"],
        cited=cited,
    )


def read_entries(table: Mapping[str, object], what: str) -> dict[str, Cited]:
    """Return every entry of a coefficient file as "section.name": Cited."""
    return {
        f"{section}.{name}": cited_from_table(entry, f"{what}: {section}.{name}")
        for section, entries in table.items()
        if isinstance(entries, Mapping)
        for name, entry in entries.items()
    }


def in_si(entry: Cited, what: str) -> float:
    """Return an entry's value in joules, seconds or watts."""
    if entry.unit not in _UNITS:
        raise InputError(f"{what}: unit {entry.unit!r}; allowed: {', '.join(_UNITS)}")
    if isinstance(entry.value, (str, tuple)) or not 0 <= entry.value < float("inf"):
        raise InputError(f"{what}: value {entry.value!r}; a number of at least 0 expected")
    return float(entry.value) * _UNITS[entry.unit]


def _between(table: Mapping[str, object], what: str) -> str:
    between = table.get("synchronisation_between", "step")
    if between not in ("step", "linear"):
        raise InputError(f"{what}: synchronisation_between {between!r}; allowed: step, linear")
    return str(between)


def _section(values: Mapping[str, float], section: str) -> dict[str, float]:
    prefix = f"{section}."
    return {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}


def _tiles(key: str, what: str) -> int:
    tiles = key.partition(".")[2]
    if not tiles.isdigit():
        raise InputError(f"{what}: {key}; a number of tiles expected, as in synchronisation.4")
    return int(tiles)
