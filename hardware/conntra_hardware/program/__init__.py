"""Programs: populations, projections between them, input encoders, files and fingerprints."""

from conntra_hardware.program.program import CoreSlice, Population, Program
from conntra_hardware.program.projection import INPUT, AnyProjection, ConvProjection, Projection, SparseProjection
from conntra_hardware.program.value_scale import ValueScale

__all__ = [
    "INPUT",
    "AnyProjection",
    "ConvProjection",
    "CoreSlice",
    "Population",
    "Program",
    "Projection",
    "SparseProjection",
    "ValueScale",
]
