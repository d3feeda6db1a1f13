"""CoNNTrA: training by coordinate descent over discrete weights."""

from conntra_neuro.training.result import Progress, Record, TrainResult
from conntra_neuro.training.trainer import Fit, fit_spikes, train

__all__ = ["Fit", "Progress", "Record", "TrainResult", "fit_spikes", "train"]
