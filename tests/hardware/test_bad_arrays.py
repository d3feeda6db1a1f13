"""Samples and labels that are none: one clear line, whatever Python object they come in."""

import numpy as np
import pytest
from program_strategies import random_case

from conntra_hardware.base.arrays import as_spikes
from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import as_features
from conntra_hardware.runtime import run


@pytest.mark.parametrize(
    ("x", "says"),
    [
        ([[1, 2], [3]], "features: not an array .* rows of equal length"),
        (np.ones((2, 3), complex), "type complex128; numbers expected"),
        (np.array(["a"]), "type <U1; numbers expected"),
        (None, "type object; numbers expected"),
        (np.full((2, 3), np.nan), "NaN or infinite in sample 0"),
        (np.ones(3), r"shape \(3,\)"),
    ],
)
def test_features(x, says):
    with pytest.raises(InputError, match=says):
        as_features(x, 3)


def test_spikes_of_unequal_length():
    with pytest.raises(InputError, match="rows of equal length"):
        as_spikes([[1, 0], [1]], 2)


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (["a", "b"], "type <U1; class indices 0 to 9 expected"),
        ([0.5, 1], "class indices 0 to 9 expected, got 0.5 to 1.0"),
        ([0, 10], "got 0 to 10"),
        ([0], r"shape \(1,\); \(2,\) expected"),
        ([[0], [0, 1]], "labels: not an array"),
    ],
)
def test_labels(y, says):
    case = random_case(1, samples=2)
    with pytest.raises(InputError, match=says):
        run(case.program, case.inputs, y)
