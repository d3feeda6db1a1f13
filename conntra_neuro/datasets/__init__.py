"""Datasets: loading, splitting, and encoding as input spikes."""

from conntra_neuro.datasets.dataset import Dataset
from conntra_neuro.datasets.encode import fit_encoder
from conntra_neuro.datasets.load import SPECS, DatasetSpec, load_dataset

__all__ = ["SPECS", "Dataset", "DatasetSpec", "fit_encoder", "load_dataset"]
