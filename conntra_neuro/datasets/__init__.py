"""Datasets: loading, splitting, and encoding as input spikes."""

from conntra_neuro.datasets.dataset import Dataset
from conntra_neuro.datasets.encode import encoder_of, fit_encoder
from conntra_neuro.datasets.load import SPECS, DatasetSpec, load_dataset
from conntra_neuro.datasets.unlabelled import Unlabelled, unlabelled

__all__ = [
    "SPECS",
    "Dataset",
    "DatasetSpec",
    "Unlabelled",
    "encoder_of",
    "fit_encoder",
    "load_dataset",
    "unlabelled",
]
