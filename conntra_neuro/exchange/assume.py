"""What files of other tools leave open: refused where a program asks, assumed and said where a person does."""

from __future__ import annotations

from conntra_hardware.base.errors import InputError

__all__ = ["ASSUMED_STEPS", "steps_or_assumed"]

ASSUMED_STEPS = 32
"""Time steps of a sample where nothing says how many; lava-dl's tutorials take 16 to 32."""


def steps_or_assumed(steps: int | None, assumed: list[str] | None, refusal: str) -> int:
    """Return ``steps``, or ASSUMED_STEPS and a line in ``assumed``; InputError where both are None."""
    if steps is not None:
        return steps
    if assumed is None:
        raise InputError(refusal)
    assumed.append(f"{ASSUMED_STEPS} time steps a sample, which the file does not say (--steps T)")
    return ASSUMED_STEPS
