"""Every mutant of a random program that shows at all is caught and named; the table in the docs is this run."""

from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant, row, tally

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_what_shows_is_caught_and_named(mutant: Mutant) -> None:
    found = tally(mutant)
    assert found.made >= 20
    assert found.visible >= 8
    assert found.caught == found.visible
    # Where samples cannot tell two mistakes apart, the right one is among those named.
    assert found.named + found.listed == found.caught
    assert found.named >= 0.7 * found.caught
    assert row(mutant, found) in PAGE.read_text(encoding="utf-8")
