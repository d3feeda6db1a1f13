"""How inputs lie in images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ImageShape", "looks_like_images"]

_LEAST_SIDE = 8  # pixels
_LONGEST = 2  # times the shorter side


def looks_like_images(feature_shape: Sequence[int], least: float) -> bool:
    """Say whether samples are images, and not tables or sensors' values over time, whose smallest number is ``least``.

    Both sides are 8 pixels or more, neither is over twice the other, and there are no negative numbers.
    """
    if len(feature_shape) not in (2, 3) or least < 0:
        return False
    shorter, longer = sorted(feature_shape[-2:])
    return shorter >= _LEAST_SIDE and longer <= _LONGEST * shorter


@dataclass(frozen=True)
class ImageShape:
    """Inputs as channels of images, channel by channel, row by row: what a shift of an image needs."""

    channels: int
    rows: int
    columns: int

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.channels * self.rows * self.columns
