"""How inputs lie in images, and in time."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ImageShape"]


@dataclass(frozen=True)
class ImageShape:
    """Inputs as channels of images, channel by channel, row by row: what a shift of an image needs.

    steps  time steps that lie one after the other
    line   inputs of a step of which each is the neighbour of the one before; 0: all of a step
    """

    channels: int
    rows: int
    columns: int
    steps: int = 1
    line: int = 0

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.channels * self.rows * self.columns
