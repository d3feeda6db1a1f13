"""From events to 0/1 spikes over time: denoised, down-sampled, binned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.jit import jit
from conntra_hardware.neurons import MAX_STEPS
from conntra_neuro.datasets.events.recipe import Recipe
from conntra_neuro.datasets.events.recording import Recording, Sensor

__all__ = ["NEVER", "Binning", "not_isolated"]


NEVER = -(2**63)


@jit
def not_isolated(t, x, y, seen, within):
    """Say of each event whether a neighbouring pixel had one at most ``within`` microseconds before it.

    The background-activity filter of Delbruck, "Frame-free dynamic digital vision", 2008. Times do not fall. ``seen``
    (width, height) holds the time of each pixel's last event, ``NEVER`` at first, and is brought up to date.
    """
    kept = np.zeros(t.size, np.bool_)
    for n in range(t.size):
        for i in range(max(x[n] - 1, 0), min(x[n] + 2, seen.shape[0])):
            for j in range(max(y[n] - 1, 0), min(y[n] + 2, seen.shape[1])):
                if (i != x[n] or j != y[n]) and t[n] - within <= seen[i, j]:
                    kept[n] = True
        seen[x[n], y[n]] = t[n]
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
        inputs, kept = self.inputs(recording, self.unseen())
        rows = self.rows(recording.t - recording.t[0], recording.duration_us)
        kept &= rows < self.steps
        out.reshape(self.steps, -1)[rows[kept], inputs[kept]] = 1

    @property
    def n_inputs(self) -> int:
        """Input spikes of a step."""
        return math.prod(self.shape[1:])

    def unseen(self) -> npt.NDArray[np.int64]:
        """Return what ``inputs`` keeps of a recording that has not begun: when each pixel had its last event."""
        size = (self.sensor.width, self.sensor.height) if self.recipe.denoise_us else (0, 0)
        return np.full(size, NEVER, np.int64)

    def inputs(
        self, recording: Recording, seen: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return the input (n,) that each event spikes at, and which events stay, not isolated and of the polarity.

        The events lie within the sensor. ``seen`` is of ``unseen`` at first, and goes on from call to call.
        """
        if self.recipe.denoise_us is None:
            kept = np.ones(len(recording.t), np.bool_)
        else:
            kept = not_isolated(recording.t, recording.x, recording.y, seen, self.recipe.denoise_us)
        down = self.recipe.down
        if recording.p is None:
            return recording.x // down, kept
        if self.recipe.polarity in ("on", "off"):
            kept &= recording.p == (self.recipe.polarity == "on")
        plane = recording.p.astype(np.int64) * self._height if self._channels == 2 else 0
        return (plane + recording.y // down) * self._width + recording.x // down, kept

    def rows(self, since_us: npt.NDArray[np.int64], duration_us: int) -> npt.NDArray[np.int64]:
        """Return the time steps of events, by their microseconds since the first one of the recording."""
        if self.recipe.step_us is not None:
            return since_us // self.recipe.step_us
        return since_us * self.steps // duration_us

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, which ``from_dict`` reads."""
        return {"recipe": asdict(self.recipe), "sensor": asdict(self.sensor), "steps": self.steps}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Binning:
        """Return what ``to_dict`` gave; InputError for anything else."""
        try:
            recipe = Recipe(**{**entry["recipe"], "steps": entry["steps"]})
            return cls(recipe, Sensor(**entry["sensor"]), 0)
        except (KeyError, TypeError) as error:
            raise InputError(f"events: how they become spikes is damaged ({error}); train the network again") from None
