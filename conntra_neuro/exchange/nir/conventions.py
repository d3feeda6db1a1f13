"""What graphs do not say: how the package that wrote one steps, resets and spikes.

NIR's equations are in continuous time. Who exported a graph ran it in steps of its own, and a graph does not carry them
[measured with the packages themselves, docs/nir.md].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from conntra_hardware.base.errors import InputError

__all__ = ["CONVENTIONS", "RESETS", "Convention", "convention"]

RESETS = ("zero", "subtract", "subtract-late", "zero-late")
"""After a spike v is 0, or less by the threshold; or less by it one step later, after the decay; or 0 one step later,
whatever it would be by then."""


SPIKES = ("one", "several")
"""What a neuron sends in a step at most: one, or as many as its threshold goes into v."""

_MOST_SPIKES = 8


@dataclass(frozen=True)
class Convention:
    """How a graph's equations are stepped through.

    dt       seconds of a step
    reset    one of ``RESETS``; ``reset_beside_current``: of neurons with a current of their own, where it is another;
             ``zero_late``: of neurons with a current, or a way back, "zero" is "zero-late"
    strict   spikes above the threshold, else at it
    several  as many spikes in a step as the threshold goes into v; in integers at most ``most`` of them, for which a
             neuron is as many
    decay    "euler": v keeps 1 - dt / tau of itself; "exponential": exp(-dt / tau)
    gains    what inputs add: "written": by r and w_in, as the equations say; "current": those of a current add 1,
             whatever w_in; "one": all add 1; "decayed": what is added to a current, or to an LI, decays at once;
             "seconds": as written, of neurons without a leak r dt
    entry    where the input of a nested graph leads into the weights of its way back: whether it is meant for the
             neurons (None: such graphs are refused)
    """

    dt: float
    reset: str = "zero"
    strict: bool = True
    several: bool = False
    most: int = 1
    decay: str = "euler"
    gains: str = "written"
    reset_beside_current: str | None = None
    zero_late: bool = False
    entry: str | None = None

    def reset_of(self, kind: str, recurrent: bool) -> str:
        """Return the reset of neurons of NIR's ``kind``, which may lead back to themselves."""
        current = kind == "CubaLIF"
        if self.zero_late and self.reset == "zero" and (current or recurrent):
            return "zero-late"
        return self.reset_beside_current or self.reset if current else self.reset

    @property
    def filters(self) -> bool:
        """Whether LI before weights does what a current behind them does."""
        return self.gains == "written" and self.reset_of("CubaLIF", False) == self.reset_of("LIF", False)


CONVENTIONS: dict[str, Convention] = {
    # mem[t + 1] = beta mem[t] + input - spike[t] threshold; reset_mechanism="zero" is --reset zero: in the step of the
    # spike for Leaky, in the one after it for the others.
    "snntorch": Convention(1e-4, "subtract-late", zero_late=True),
    # tau is written as dt / tau_inv, and v moves by dt tau_inv a step: at dt = 1e-3 by 1e-6 / tau. LIFCell's current
    # takes inputs as they are; w_in is not written.
    "norse": Convention(1e-6, "zero", gains="current"),
    # tau counts steps, v keeps exp(-1 / tau); fires at the threshold, by default several times a step.
    "sinabs": Convention(1.0, "subtract", strict=False, several=True, decay="exponential"),
    # isyn = (isyn + input) exp(-dt / tau_syn), vmem = vmem exp(-dt / tau_mem) + isyn, whatever r says.
    "rockpool": Convention(1e-3, "subtract", strict=False, several=True, decay="exponential", gains="decayed"),
    # tau = steps dt; IF has r = 1 / dt; fires at the threshold.
    "spikingjelly": Convention(1e-4, "zero", strict=False, gains="seconds"),
    # V = beta V + input, r is written as beta; CuBaLIF takes the threshold off before the decay, others after.
    "spyx": Convention(1.0, "subtract-late", gains="one", reset_beside_current="subtract", entry="neurons"),
    # NIR's own example of a converter: tau_rc in seconds, exact between steps.
    "nengo": Convention(1e-3, "zero", decay="exponential"),
    # NIR's own example of a converter of .net files: CUBA neurons fire at the threshold.
    "lava-dl": Convention(1e-4, "zero", strict=False),
    # The NIR paper's own.
    "paper": Convention(1e-4, "zero"),
}
"""By name of the package that wrote the graph."""


def convention(source: str | None, dt: float | None, reset: str | None, spikes: str | int | None = None) -> Convention:
    """Return the convention of the package ``source``, with what is given instead; InputError for unknown words.

    ``spikes``: one of ``SPIKES``, or a number: several, that many at most in integers.
    """
    if source is not None and source not in CONVENTIONS:
        raise InputError(f"source {source!r}: unknown; allowed: {', '.join(CONVENTIONS)}")
    if source is None and dt is None:
        raise InputError(
            f"the graph does not say how long a time step is: give --source ({', '.join(CONVENTIONS)}), or --dt "
            "SECONDS (1e-4 in snnTorch and the NIR paper)"
        )
    found = CONVENTIONS[source] if source is not None else Convention(1e-4)
    if dt is not None:
        if not 0 < dt < 1e6:
            raise InputError(f"dt {dt!r}: seconds, more than 0, expected")
        found = replace(found, dt=dt)
    if reset is not None:
        if reset not in RESETS:
            raise InputError(f"reset {reset!r}: unknown; allowed: {', '.join(RESETS)}")
        found = replace(found, reset=reset, reset_beside_current=None)
    if spikes is not None:
        number = int(spikes) if str(spikes).isdecimal() and len(str(spikes)) < 3 else 0
        if spikes not in SPIKES and not 2 <= number <= _MOST_SPIKES:
            raise InputError(f"spikes {spikes!r}: unknown; allowed: {', '.join(SPIKES)}, 2 to {_MOST_SPIKES}")
        found = replace(found, several=spikes != "one", most=max(number, 1))
    return found
