"""CoNNTrA: training by coordinate descent over discrete weights."""

from conntra_neuro.training.fit import Fit, fit_spikes
from conntra_neuro.training.result import Progress, Record, TrainResult
from conntra_neuro.training.trainer import train

__all__ = ["Fit", "Progress", "Record", "TrainResult", "fit_spikes", "train"]
