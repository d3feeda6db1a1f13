"""What the importers of other packages understand of NIR, and what is to be set by hand once they have loaded a graph.

NIR says equations in continuous time; how a package steps through them, resets and compares is its own affair. Each row
was tried with the package itself (``scripts/try_readers.py``, docs/nir.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conntra_hardware.base.errors import InputError
from conntra_neuro.network import DiscreteNetwork

__all__ = ["DIALECTS", "PLAIN", "Dialect", "dialect"]


@dataclass(frozen=True)
class Dialect:
    """How graphs are written for a reader.

    dt            seconds of a time step, to which time constants belong (forward Euler)
    leak          "gain": LIF with r = tau / dt, so that v is in weight units; "plain": r = 1, thresholds scaled by
                  dt / tau; "exponential": v *= exp(-1 / tau), tau in steps
    threshold     memoryless neurons as nodes "Threshold", or as "LIF" that forgets in a step
    integrator    neurons without leak as nodes "IF", or as "LIF" with a leak below rounding
    current       whether CubaLIF is known; ``leaking_bias``: and v_leak, which then holds the bias beside a current
    readout       whether LI is known
    soft          whether a soft reset can be set by hand
    one_threshold one threshold for all neurons of a layer: weights are divided by each neuron's own
    one_number    parameters that all neurons of an image share stand once
    plain_conv    neither groups nor sums over windows with padding: full kernels instead
    pools         SumPool2d is known
    recurrent     edges from neurons through weights back to themselves are known
    settings      what the user does to load it, and then, line by line; ``soft_setting``: for a soft reset
    """

    name: str
    dt: float = 1e-4
    leak: str = "gain"
    threshold: str = "LIF"
    integrator: str = "IF"
    current: bool = True
    leaking_bias: bool = False
    readout: bool = False
    soft: bool = True
    one_threshold: bool = False
    one_number: bool = False
    plain_conv: bool = True
    pools: bool = True
    recurrent: bool = True
    settings: tuple[str, ...] = ()
    soft_setting: str = ""

    def to_set(self, network: DiscreteNetwork) -> dict[str, Any]:
        """Return what an export of ``network`` is to be loaded with, as JSON values; {} for NIR's own words."""
        if not self.settings:
            return {}
        hidden = [layer.neuron.facts for layer in network.layers if layer.neuron is not None and layer.neuron.spikes]
        soft = any(facts.reset == "soft" for facts in hidden)
        lines = [*self.settings, *([self.soft_setting] if soft else [])]
        return {"reader": self.name, "steps": network.steps, "settings": lines}


PLAIN = Dialect(
    "nir",
    threshold="Threshold",
    leaking_bias=True,
    readout=True,
    soft=False,
    plain_conv=False,
)
"""NIR's own words, for nobody in particular: what is read strictly by its equations."""

DIALECTS: dict[str, Dialect] = {
    "snntorch": Dialect(
        "snntorch",
        integrator="LIF",
        one_threshold=True,
        pools=False,
        recurrent=False,  # its importer makes a nested graph of a cycle, and has no row for one [1.0.0]
        settings=("load with snntorch.import_nir.import_from_nir(nir.read(FILE, type_check=False))",),
        soft_setting='for every Leaky: set reset_mechanism = "subtract"',
    ),
    "norse": Dialect(
        "norse",
        leak="plain",
        settings=("load with norse.torch.from_nir(nir.read(FILE, type_check=False), dt=1e-4)",),
        soft_setting="for every cell: p = p._replace(reset_method=norse.torch.functional.reset.reset_subtract)",
    ),
    "sinabs": Dialect(
        "sinabs",
        dt=1.0,
        leak="exponential",
        current=False,
        readout=True,
        one_number=True,
        recurrent=False,
        settings=(
            "load with sinabs.nir.from_nir(nir.read(FILE, type_check=False), batch_size=N)",
            "for every spiking layer: spike_fn = SingleSpike, reset_fn = MembraneReset(), min_v_mem = None",
        ),
        soft_setting="of these, reset_fn = MembraneSubtract() instead",
    ),
}
"""By name of the package."""


def dialect(reader: str | None) -> Dialect:
    """Return the dialect of ``reader``, or NIR's own words where it is None; InputError for unknown names."""
    if reader is None:
        return PLAIN
    if reader not in DIALECTS:
        raise InputError(f"reader {reader!r}: unknown; allowed: {', '.join(DIALECTS)}, or none for NIR's own words")
    return DIALECTS[reader]
