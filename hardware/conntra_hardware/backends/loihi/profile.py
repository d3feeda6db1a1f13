"""The child's side of measuring: Lava's Loihi 2 profilers, read into plain numbers.

What a profiler does not have stays None: their attributes differ between releases of the extension, and a run is not
lost over a number that it could not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from lava.utils.loihi2_profiler import (  # type: ignore[import-not-found]
    Loihi2Activity,
    Loihi2ExecutionTime,
    Loihi2Power,
)

from conntra_hardware.cost.measured import ACTIVITY

__all__ = ["make_profilers", "read_profilers"]

_US = 1e-6


def make_profilers(steps: int) -> dict[str, Any]:
    """Return the profilers of a run of ``steps`` time steps, for a run configuration's ``callback_fxs``."""
    return {
        "power": Loihi2Power(num_steps=steps),
        "time": Loihi2ExecutionTime(),
        "activity": Loihi2Activity(),
    }


def read_profilers(profilers: Mapping[str, Any], steps: int, host: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``Measured`` that the profilers of an ended run have, as JSON values."""
    measured: dict[str, Any] = {"steps": steps, "host": host["name"], "board_chips": host["chips"]}
    if not profilers:
        return measured
    power, clock, activity = profilers["power"], profilers["time"], profilers["activity"]
    measured |= {
        "step_time_s": _mean(clock, "avg_time_per_step", _US),
        "host_time_s": _mean(clock, "host_time_per_step", _US),
        "management_time_s": _mean(clock, "management_time_per_step", _US),
        "power_w": _mean(power, "total_power"),
        "static_w": _mean(power, "static_total_power"),
        "vdd_w": _mean(power, "vdd_power"),
        "vddm_w": _mean(power, "vddm_power"),
        "vddio_w": _mean(power, "vddio_power"),
        "chips_used": _chips_used(activity),
        "activity": _activity(activity),
    }
    return measured | _without_idle_chips(measured)


def _mean(profiler: Any, name: str, unit: float = 1.0) -> float | None:
    values = np.asarray(getattr(profiler, name, ()), dtype=np.float64)
    return float(values.mean()) * unit if values.size and np.isfinite(values).all() else None


def _activity(profiler: Any) -> dict[str, int] | None:
    found = {name: np.asarray(getattr(profiler, name)) for name in ACTIVITY if hasattr(profiler, name)}
    return {name: int(values.sum()) for name, values in found.items()} or None


def _chips_used(profiler: Any) -> int | None:
    chips = np.asarray(getattr(profiler, "chip_idx", ()))
    return len(np.unique(chips)) if chips.size else None


def _without_idle_chips(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return the powers less the static share of the board's idle chips: the meter sees the board as a whole.

    Shares are taken as equal, as in Intel's own benchmarks. Nothing is subtracted where the board's chips are not
    known. The rails stay as they were measured.
    """
    board, used, static, power = (measured[key] for key in ("board_chips", "chips_used", "static_w", "power_w"))
    if None in (board, used, static, power) or board <= used:
        return {}
    idle = static * (board - used) / board
    return {"power_w": power - idle, "static_w": static - idle, "idle_subtracted_w": idle}
