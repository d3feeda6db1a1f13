"""Level sets that are none."""

import pytest

from conntra_hardware.base.errors import InputError
from conntra_neuro.network.levels import parse_levels


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "levels ''"),
        (",", "levels ','"),
        ("x", "levels 'x'"),
        ("5,5", "1 distinct value"),
        (1, "levels 1: 2 to 256 allowed"),
        ([0.5, 1], "0.5 is not an integer"),
        ([0, 2**20], "magnitudes up to 32768"),
    ],
)
def test_level_sets_that_are_none(spec, says):
    with pytest.raises(InputError, match=says):
        parse_levels(spec)


def test_whole_floats_are_integers():
    assert parse_levels([-1.0, 0.0, 1.0]) == parse_levels("ternary")
