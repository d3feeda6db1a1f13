"""How inputs lie in images."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ImageShape"]


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
