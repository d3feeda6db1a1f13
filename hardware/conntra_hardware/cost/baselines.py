"""What the same network would take in conventional arithmetic: multiply-accumulates at 45 nm (Horowitz 2014).

Two tables that are never mixed: arithmetic alone, and arithmetic with one read of each weight from an 8 KB cache.
Every weight counts once an inference (a kernel's at every position, and once a time step), zeros too, as a dense matrix
product would have it. Neither has control, wires, leakage or input and output.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conntra_hardware.base.citation import read_toml
from conntra_hardware.cost.coefficients import in_si, read_entries
from conntra_hardware.program import AnyProjection, ConvProjection, Program, SparseProjection

__all__ = ["Baseline", "baselines"]

_FILE = Path(__file__).parent / "coefficients" / "horowitz2014.toml"
_WEIGHT_BITS = {"float32": 32, "int8": 8}


@dataclass(frozen=True)
class Baseline:
    """Energy of an inference in conventional arithmetic; ``with_memory`` names the table it belongs to."""

    name: str
    with_memory: bool
    macs: int
    per_inference_j: float
    source: str
    node: str
    modelled: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def baselines(program: Program, *, with_memory: bool) -> tuple[Baseline, ...]:
    """Return the float32 and the int8 baseline of ``program``: of arithmetic alone, or of arithmetic and weight
    reads.
    """
    what = f"coefficients {_FILE.name}"
    cited = read_entries(read_toml(_FILE, what), what)
    costs = {key.removeprefix("energy."): in_si(entry, f"{what}: {key}") for key, entry in cited.items()}
    macs = program.steps * sum(_macs(projection) for projection in program.projections)
    rows = []
    for name, bits in _WEIGHT_BITS.items():
        each = costs[f"mac_{name}"] + (costs["read_32_bits"] * bits / 32 if with_memory else 0.0)
        entries = [cited[f"energy.mac_{name}"]] + ([cited["energy.read_32_bits"]] if with_memory else [])
        source = f"{entries[0].source}: {' + '.join(entry.scope for entry in entries)}"
        rows.append(Baseline(name, with_memory, macs, macs * each, source, entries[0].node))
    return tuple(rows)


def _macs(projection: AnyProjection) -> int:
    """Return the multiply-accumulates of a projection: all entries of a matrix, all positions of a kernel."""
    if isinstance(projection, ConvProjection):
        channels, height, width = projection.geometry.kernel_shape[1:]
        return projection.geometry.n_out * channels * height * width
    return projection.n_synapses if isinstance(projection, SparseProjection) else projection.weights.size
