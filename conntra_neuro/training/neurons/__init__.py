"""The kinds of neuron that can be trained, a file a kind."""

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import Neuron
from conntra_neuro.training.neurons.base import GRADED_SPREAD, Floats, Terms, TrainableNeuron
from conntra_neuro.training.neurons.graded_relu import GradedReluTraining
from conntra_neuro.training.neurons.integrate_and_fire import IntegrateAndFireTraining
from conntra_neuro.training.neurons.lif import LifTraining
from conntra_neuro.training.neurons.threshold import ThresholdTraining

__all__ = ["GRADED_SPREAD", "TRAINABLE", "Floats", "Terms", "TrainableNeuron", "of_neuron", "of_word"]

TRAINABLE: dict[str, TrainableNeuron] = {
    "threshold": ThresholdTraining(),
    "graded": GradedReluTraining(),
    "integrating": IntegrateAndFireTraining(),
    "leaky": LifTraining(),
}
"""By the form of a neuron's facts."""


def of_neuron(neuron: Neuron) -> TrainableNeuron:
    """Return what training knows of the kind of ``neuron``; InputError where it knows nothing."""
    found = TRAINABLE.get(neuron.facts.form)
    if found is None:
        raise InputError(
            f"{neuron.kind} neurons cannot be trained; threshold, graded, integrate-and-fire and leaky ones can"
        )
    return found


def of_word(word: str) -> TrainableNeuron:
    """Return the kind called ``word``: "threshold", "relu", "if" or "lif"."""
    return next(kind for kind in TRAINABLE.values() if kind.word == word)
