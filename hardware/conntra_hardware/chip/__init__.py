"""Chips: limits and geometry, read from ``limits/*.toml``."""

from conntra_hardware.chip.chip import Chip, chip_names, load_chip

__all__ = ["Chip", "chip_names", "load_chip"]
