"""From events to 0/1 spikes over time: denoised, down-sampled, binned."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import MAX_STEPS
from conntra_neuro.datasets.events.recipe import Recipe
from conntra_neuro.datasets.events.recording import Recording, Sensor

__all__ = ["Binning", "not_isolated"]


@nb.njit(cache=True, nogil=True)
def not_isolated(t, x, y, width, height, within):
    """Say of each event whether a neighbouring pixel had one at most ``within`` microseconds before it.

    The background-activity filter of Delbruck, "Frame-free dynamic digital vision", 2008. Times do not fall.
    """
    seen = np.full((width, height), -1, np.int64)  # the last event of each pixel, as its index
    kept = np.zeros(t.size, np.bool_)
    for n in range(t.size):
        for i in range(max(x[n] - 1, 0), min(x[n] + 2, width)):
            for j in range(max(y[n] - 1, 0), min(y[n] + 2, height)):
                other = seen[i, j]
                if (i != x[n] or j != y[n]) and other >= 0 and t[n] - t[other] <= within:
                    kept[n] = True
        seen[x[n], y[n]] = n
    return kept


class Binning:
    """A recipe for one sensor: ``shape`` is that of a sample, (steps, channels, height, width) or (steps, units)."""

    def __init__(self, recipe: Recipe, sensor: Sensor, longest_us: int) -> None:
        """``longest_us``: duration of the longest recording, which decides the steps where the recipe does not."""
        self.recipe, self.sensor = recipe, sensor
        steps = recipe.steps
        if steps is None:
            assert recipe.step_us is not None
            steps = -(-longest_us // recipe.step_us)
            if steps > MAX_STEPS:
                raise InputError(
                    f"events: {steps} steps of {recipe.step_us} us for the longest recording, {longest_us} us; up to "
                    f"{MAX_STEPS} allowed: say steps=, or a longer step"
                )
        self.steps = steps
        self._width, self._height = (-(-side // recipe.down) for side in (sensor.width, sensor.height))
        self._channels = 2 if recipe.polarity == "channels" else 1
        if not sensor.is_camera:
            if recipe.polarity != "channels":
                raise InputError(f"events: polarity={recipe.polarity}, but the events have none; leave the option out")
            self.shape: tuple[int, ...] = (steps, self._width)
        else:
            self.shape = (steps, self._channels, self._height, self._width)

    def spikes(self, recording: Recording, out: npt.NDArray[np.uint8]) -> None:
        """Write the spikes of ``recording`` into ``out``, which is zero and of ``shape``.

        InputError for events outside the sensor, and for another kind of sensor.
        """
        if (recording.p is not None) != self.sensor.is_camera:
            raise InputError(
                f"{recording.name}: (t, x, y, p) in some recordings and (t, unit) in others; one form for all expected"
            )
        recording.check_within(self.sensor)
        kept = self._kept(recording)
        rows = self.rows(recording.t - recording.t[0], recording.duration_us)
        kept &= rows < self.steps
        rows, x, y = rows[kept], recording.x[kept] // self.recipe.down, recording.y[kept] // self.recipe.down
        if recording.p is None:
            out[rows, x] = 1
        else:
            p: Any = recording.p[kept].astype(np.int64) if self._channels == 2 else 0
            out[rows, p, y, x] = 1

    def rows(self, since_us: npt.NDArray[np.int64], duration_us: int) -> npt.NDArray[np.int64]:
        """Return the time steps of events, by their microseconds since the first one of the recording."""
        if self.recipe.step_us is not None:
            return since_us // self.recipe.step_us
        return since_us * self.steps // duration_us

    def _kept(self, recording: Recording) -> npt.NDArray[np.bool_]:
        """Return which events stay: those that are not isolated, of the polarity that is asked for."""
        if self.recipe.denoise_us is None:
            kept = np.ones(len(recording.t), np.bool_)
        else:
            size = self.sensor.width, self.sensor.height
            kept = not_isolated(recording.t, recording.x, recording.y, *size, self.recipe.denoise_us)
        if recording.p is not None and self.recipe.polarity in ("on", "off"):
            kept &= recording.p == (self.recipe.polarity == "on")
        return kept
