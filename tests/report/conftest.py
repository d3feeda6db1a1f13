import numpy as np
import pytest

import conntra_neuro as cn
from conntra_neuro.report.documents import run_document


@pytest.fixture(scope="session")
def compiled():
    """Three layers on four cores: enough for every picture, nothing trained."""
    rng = np.random.default_rng(0)
    layers = [
        cn.Dense(rng.integers(-1, 2, (30, 40)), rng.integers(-2, 3, 30)),
        cn.Dense(rng.integers(-1, 2, (20, 30)), rng.integers(-2, 3, 20)),
        cn.Dense(rng.integers(-1, 2, (4, 20)), activation="readout"),
    ]
    return cn.compile(cn.DiscreteNetwork(layers), "loihi1", cores=4)


@pytest.fixture(scope="session")
def ran(compiled):
    """The result of 90 samples, their labels, and the input spikes."""
    rng = np.random.default_rng(1)
    inputs = (rng.random((90, 40)) < 0.3).astype(np.uint8)
    labels = rng.integers(0, 4, 90)
    return compiled.run(inputs, labels), labels, inputs


@pytest.fixture(scope="session")
def document(ran):
    result, labels, inputs = ran
    origin = {"data": "made up", "split": "test"}
    return run_document(result, origin=origin, labels=labels, inputs=inputs, features=inputs)
