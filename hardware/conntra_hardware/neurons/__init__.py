"""The kinds of neuron a program may hold, each with its exact integer dynamics: one file a kind."""

from conntra_hardware.neurons.base import (
    FORGETS,
    FRACTION_BITS,
    GRADED_MAX,
    Facts,
    Neuron,
    Parameter,
    Span,
    row_for,
    values,
)
from conntra_hardware.neurons.graded_relu import GradedRelu
from conntra_hardware.neurons.integrate_and_fire import IntegrateAndFire
from conntra_hardware.neurons.lif import Lif
from conntra_hardware.neurons.multi_threshold import MultiThreshold
from conntra_hardware.neurons.readout import Readout
from conntra_hardware.neurons.recurrence import later, respond_recurrently
from conntra_hardware.neurons.sigma_delta import SigmaDelta
from conntra_hardware.neurons.table import (
    MAX_STEPS,
    NEURON_KINDS,
    common_steps,
    neuron_from_dict,
    neuron_from_name,
    neuron_to_dict,
    stored_neuron,
)
from conntra_hardware.neurons.threshold import Threshold

__all__ = [
    "FORGETS",
    "FRACTION_BITS",
    "GRADED_MAX",
    "MAX_STEPS",
    "NEURON_KINDS",
    "Facts",
    "GradedRelu",
    "IntegrateAndFire",
    "Lif",
    "MultiThreshold",
    "Neuron",
    "Parameter",
    "Readout",
    "SigmaDelta",
    "Span",
    "Threshold",
    "common_steps",
    "later",
    "neuron_from_dict",
    "neuron_from_name",
    "neuron_to_dict",
    "respond_recurrently",
    "row_for",
    "stored_neuron",
    "values",
]
