"""A recording: events of one sample in the order of time, and the sensor that they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError

__all__ = ["Recording", "Sensor"]

Integers = npt.NDArray[np.int64]
_LATEST = 2**62
_LONGEST_US = 2**50  # 35 years; longer ones would leave 64 bits when they are multiplied by steps


@dataclass(frozen=True)
class Sensor:
    """Where events can come from: ``width`` x ``height`` pixels with two polarities, or ``width`` units."""

    width: int
    height: int = 1
    polarities: int = 2

    @property
    def is_camera(self) -> bool:
        """Whether its events have a row and a polarity; a row of units has neither."""
        return self.polarities == 2

    def __str__(self) -> str:
        return f"{self.width}x{self.height}" if self.is_camera else f"{self.width} units"


@dataclass(frozen=True, eq=False)
class Recording:
    """The events of one sample, checked.

    name   where it comes from, for messages
    t      microseconds (n,), int64, not falling
    x, y   pixels (n,), from 0; of a row of units x is the unit, and y is 0
    p      polarity (n,): 1 brighter, 0 darker; None of a row of units
    sensor where the file says it, else None

    InputError for no events, for times that go back, and for events outside the sensor.
    """

    name: str
    t: Integers
    x: Integers
    y: Integers
    p: npt.NDArray[np.uint8] | None
    sensor: Sensor | None = None

    @classmethod
    def of(
        cls, name: str, t: Any, x: Any, y: Any = None, p: Any = None, sensor: Sensor | None = None, sort: bool = False
    ) -> Recording:
        """Return the recording of columns (n,) of numbers; without ``y`` and ``p`` of a row of units.

        ``sort`` puts events into the order of time, those of one time as they stand.
        """
        times, columns = _whole(name, "t", t), _whole(name, "x", x)
        rows = np.zeros(len(columns), np.int64) if y is None else _whole(name, "y", y)
        signs = None if p is None else _polarities(name, p)
        found = [len(column) for column in (times, columns, rows, *([] if signs is None else [signs]))]
        if len(set(found)) > 1:
            raise InputError(f"{name}: columns of {', '.join(map(str, found))} events; equal lengths expected")
        if sort:
            order = np.argsort(times, kind="stable")
            times, columns, rows = times[order], columns[order], rows[order]
            signs = None if signs is None else signs[order]
        return cls(name, times, columns, rows, signs, sensor)

    def __post_init__(self) -> None:
        if len(self.t) == 0:
            raise InputError(f"{self.name}: no events; take the recording out of the set")
        back = np.flatnonzero(np.diff(self.t) < 0)
        if len(back):
            at = int(back[0]) + 1
            raise InputError(
                f"{self.name}: event {at}: time goes back, from {self.t[at - 1]} to {self.t[at]} us; ascending times "
                "expected: ?order=sort sorts the events of a recording"
            )
        if self.t[0] < -_LATEST or self.t[-1] > _LATEST or self.duration_us > _LONGEST_US:
            raise InputError(f"{self.name}: times from {self.t[0]} to {self.t[-1]} us; up to {_LONGEST_US} us allowed")
        if self.sensor is not None:
            self.check_within(self.sensor)

    def check_within(self, sensor: Sensor) -> None:
        """Raise InputError where an event lies outside ``sensor``."""
        outside = (self.x < 0) | (self.x >= sensor.width) | (self.y < 0) | (self.y >= sensor.height)
        if outside.any():
            at = int(np.flatnonzero(outside)[0])
            where = f"x={self.x[at]}, y={self.y[at]}" if sensor.is_camera else f"unit {self.x[at]}"
            raise InputError(
                f"{self.name}: event {at}: {where} lies outside the sensor, {sensor}; mend the file, or say the "
                "sensor's size with ?size="
            )

    def extent(self) -> Sensor:
        """Return the sensor that the file names, else the smallest that has room for all events."""
        if self.sensor is not None:
            return self.sensor
        self.check_within(Sensor(2**31, 2**31, 1 if self.p is None else 2))  # nothing is below 0
        return Sensor(int(self.x.max()) + 1, int(self.y.max()) + 1, 1 if self.p is None else 2)

    @property
    def duration_us(self) -> int:
        """From the first event to the last, both included."""
        return int(self.t[-1] - self.t[0]) + 1


def _whole(name: str, column: str, values: Any) -> Integers:
    array = np.asarray(values)
    if array.ndim != 1:
        raise InputError(f"{name}: {column} has shape {array.shape}; (n,) expected, one number an event")
    if array.dtype.kind in "iub":
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            raise InputError(f"{name}: {column} holds {array.max()}; 64-bit signed integers expected")
        return array.astype(np.int64)
    if array.dtype.kind == "f" and np.isfinite(array).all() and np.all(array == np.rint(array)):
        return array.astype(np.int64)
    what = "values that are not whole" if array.dtype.kind == "f" else f"type {array.dtype}"
    raise InputError(f"{name}: {column} holds {what}; whole numbers expected, times in microseconds")


def _polarities(name: str, values: Any) -> npt.NDArray[np.uint8]:
    """Return polarities 0 and 1 of those, of -1 and 1, or of booleans."""
    found = _whole(name, "p", values)
    if found.size and (found.min() < -1 or found.max() > 1):
        raise InputError(f"{name}: p holds {found.min()} to {found.max()}; 0 or -1 (darker) and 1 (brighter) expected")
    return (found > 0).astype(np.uint8)
