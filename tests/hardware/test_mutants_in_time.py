"""Every mistake with time that shows at all is caught, and named for what it is."""

from __future__ import annotations

import numpy as np
import pytest
from mutants_in_time import TIMED_MUTANTS, timed_program

from conntra_hardware.proof.verify import verify

PROGRAMS = 6


@pytest.mark.parametrize("name", TIMED_MUTANTS)
def test_what_shows_is_caught_and_named(name: str) -> None:
    mutant = TIMED_MUTANTS[name]
    visible = named = listed = 0
    for seed in range(PROGRAMS):
        program, inputs = timed_program(seed, strict=seed % 2 == 0, recurrent=mutant.recurrent)
        for layer in mutant.layers:
            certificate = verify(program, inputs, ["reference", mutant.make(layer)])
            if certificate.equal:
                continue  # no value of any sample shows it
            visible += 1
            assert certificate.first_divergence is not None
            finding = next((f for d in certificate.diagnoses for f in d.findings if f.layer == layer), None)
            assert finding is not None, (name, seed, layer)
            named += finding.cause == mutant.cause and mutant.words in finding.text
            listed += mutant.words not in finding.text and any(mutant.words in text for text in finding.also)
    assert visible >= 2  # a decay off by one shows rarely
    # Where samples cannot tell two mistakes apart, the right one is among those named.
    assert named + listed == visible
    assert named >= 0.7 * visible


def test_the_programs_live() -> None:
    for seed in range(PROGRAMS):
        program, inputs = timed_program(seed)
        rates = [spikes.mean() for spikes in program.run(inputs).spikes.values()]
        assert all(0.01 < rate < 0.7 for rate in rates), rates
        assert np.any(program.run(inputs).logits)
