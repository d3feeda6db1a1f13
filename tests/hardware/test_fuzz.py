"""Fuzzing: the programs cover what is accepted, equal backends pass, wrong ones are caught, shrunk and saved."""

from __future__ import annotations

import json
from collections import Counter
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from wrong_backends import WrongBackend, changed_weights

import conntra_neuro as cn
from conntra_hardware.backends import load_backend
from conntra_hardware.backends.protocol import RunOptions
from conntra_hardware.base.errors import BackendError, InputError, UnsupportedProgram
from conntra_hardware.fit.overflow import prove_no_overflow
from conntra_hardware.fit.resources import core_usage
from conntra_hardware.neurons import IntegrateAndFire, Lif, Readout
from conntra_hardware.program import INPUT, ConvProjection, Program, Projection, SparseProjection
from conntra_hardware.program.fingerprint import program_sha256
from conntra_hardware.program.program_file import load_program
from conntra_hardware.proof.fuzz import fuzz
from conntra_hardware.proof.fuzz_case import dense_case, random_case
from conntra_hardware.proof.recheck import read_certificate, recheck, recheck_fuzz
from conntra_hardware.proof.shrink import restrict
from conntra_neuro.report.certificate import fuzz_view


@pytest.mark.parametrize("seed", [0, 1])
def test_the_compiler_accepts_every_program_and_so_does_the_chip(seed: int) -> None:
    for index in range(40):
        program = dense_case(seed, index).program
        layers = [
            cn.Dense(p.weights, program.population(p.target).bias, "readout" if p.target == "out" else "threshold")
            for p in program.projections
        ]
        cn.compile(cn.DiscreteNetwork(layers), chip=program.chip.name)
        assert all(usage.fits for core in core_usage(program) for usage in core.resources.values())
        assert all(proof.holds for proof in prove_no_overflow(program))


def test_the_space_is_covered() -> None:
    cases = [dense_case(0, index) for index in range(300)]
    described = [case.describe() for case in cases]
    assert {d["layers"] for d in described} == {1, 2, 3, 4, 5}
    assert min(d["inputs"] for d in described) == 1
    assert max(d["inputs"] for d in described) > 3000
    assert min(d["least_weight"] for d in described) < -200
    assert max(d["largest_weight"] for d in described) > 200
    assert max(d["cores"] for d in described) > 10
    assert max(d["largest_bias"] for d in described) > 4095  # only as even numbers
    assert {case.program.chip.name for case in cases} == {"loihi1", "loihi2"}
    # Potentials on both sides of the threshold occur in most programs.
    on_threshold = 0
    for case in cases[:60]:
        first = case.program.populations[0]
        sums = case.inputs @ case.program.projections[0].weights.T.astype(np.int64) + first.bias
        on_threshold += bool((sums == 0).any() and (sums == 1).any())
    assert on_threshold > 30


def test_a_third_of_the_programs_are_of_the_other_kinds() -> None:
    programs = [random_case(0, index).program for index in range(150)]
    assert all(usage.fits for p in programs for core in core_usage(p) for usage in core.resources.values())
    assert all(proof.holds for p in programs for proof in prove_no_overflow(p))
    kinds = Counter(population.neuron.kind for p in programs[2::3] for population in p.populations)
    assert min(kinds[kind] for kind in ("threshold", "graded_relu", "integrate_and_fire")) > 5
    assert {n.reset for p in programs for q in p.populations if isinstance(n := q.neuron, IntegrateAndFire)} == {
        "hard",
        "soft",
    }
    projections = [projection for p in programs for projection in p.projections]
    for kind in (Projection, SparseProjection, ConvProjection):
        assert sum(isinstance(projection, kind) for projection in projections) > 15
    assert max(len(p.incoming(q.name)) for p in programs for q in p.populations) == 2
    assert max(p.steps for p in programs) == 6


def test_some_convolutions_are_dilated_and_all_else_stays_as_it_was() -> None:
    before, now = ([random_case(0, index, dilated) for index in range(240)] for dilated in (False, True))
    gaps = [_dilations(case.program) for case in now]
    assert {d for found in gaps for pair in found for d in pair} == {1, 2, 3}
    assert sum(any(pair != (1, 1) for pair in found) for found in gaps) > 10
    assert not any(pair != (1, 1) for case in before for pair in _dilations(case.program))
    for one, other, found in zip(before, now, gaps, strict=True):
        if not any(pair != (1, 1) for pair in found):
            assert program_sha256(one.program) == program_sha256(other.program)
            assert np.array_equal(one.inputs, other.inputs)
    assert all(usage.fits for case in now for core in core_usage(case.program) for usage in core.resources.values())
    assert all(proof.holds for case in now for proof in prove_no_overflow(case.program))


def _dilations(program: Program) -> list[tuple[int, int]]:
    return [p.geometry.dilation for p in program.projections if isinstance(p, ConvProjection)]


def test_some_programs_live_in_time_and_all_others_stay_as_they_were() -> None:
    before, now = ([random_case(0, index, True, timed) for index in range(240)] for timed in (False, True))
    same = [program_sha256(a.program) == program_sha256(b.program) for a, b in zip(before, now, strict=True)]
    assert sum(same) == 180
    programs = [case.program for case, old in zip(now, same, strict=True) if not old]
    neurons = [p.neuron for program in programs for p in program.populations]
    leaky = [neuron for neuron in neurons if isinstance(neuron, Lif)]
    assert len(leaky) > 60
    for told in ({n.reset for n in leaky}, {n.strict for n in leaky}, {n.facts.per_neuron for n in leaky}):
        assert len(told) == 2
    assert {n.read for n in neurons if isinstance(n, Readout)} == {"sum", "last", "max"}
    projections = [p for program in programs for p in program.projections]
    assert {0, 1, 2, 3} < {p.delay for p in projections}
    assert sum(p.source == p.target for p in projections) > 15
    assert sum(program.readout.neuron.spikes for program in programs) > 5
    assert all(usage.fits for p in programs for core in core_usage(p) for usage in core.resources.values())


def test_reports_of_the_time_before_dilation_are_checked_with_the_programs_of_that_time() -> None:
    old, new = (json.loads(json.dumps(fuzz(30, seed=3, dilated=dilated).to_dict())) for dilated in (False, True))
    assert old["digest"] != new["digest"]
    assert recheck_fuzz(old).mismatch is None
    assert recheck_fuzz(new).mismatch is None
    del old["dilated"], old["seal"]  # they do not say so
    assert recheck_fuzz(old).mismatch is None


def test_what_a_backend_does_not_run_is_counted_apart() -> None:
    class DenseOnly(WrongBackend):
        def execute(self, program: Program, inputs: np.ndarray, options: RunOptions):
            if not all(isinstance(p, Projection) for p in program.projections):
                raise UnsupportedProgram("dense: it runs dense layers")
            return super().execute(program, inputs, options)

    report = fuzz(12, seed=3, backends=["reference", DenseOnly("dense")], timed=False, changing=False, counting=False)
    tally = report.backends["dense"]
    assert (tally.programs + tally.refused, report.backends["reference"].refused) == (12, 0)
    assert 0 < tally.refused <= 4
    assert recheck_fuzz(json.loads(json.dumps(fuzz(12, seed=3).to_dict()))).mismatch is None


def test_the_same_seed_gives_the_same_cases() -> None:
    one, again, other = random_case(3, 7), random_case(3, 7), random_case(3, 8)
    assert np.array_equal(one.inputs, again.inputs)
    assert one.describe() == again.describe() != other.describe()


def test_the_reference_equals_the_loop(tmp_path: Path) -> None:
    report = fuzz(40, seed=5, save_to=tmp_path)
    assert report.equal
    assert report.backends["reference"].programs == 40
    assert list(tmp_path.iterdir()) == []
    assert fuzz(40, seed=5).digest == report.digest != fuzz(40, seed=6).digest


def test_a_slow_backend_gets_its_time_and_at_least_one_program() -> None:
    report = fuzz(30, backends=["reference", WrongBackend("slow")], budget_s=1e-9)
    assert (report.backends["reference"].programs, report.backends["slow"].programs) == (30, 1)
    assert fuzz(30, backends=[WrongBackend("slow")], limits={"slow": 4}).backends["slow"].programs == 4


def test_the_loop_shares_nothing_with_the_reference() -> None:
    case = dense_case(0, 2)
    loop = load_backend("loop").execute(case.program, case.inputs, RunOptions())
    source = case.inputs.astype(object)  # Python's own integers
    for population, projection in zip(case.program.populations, case.program.projections, strict=True):
        potentials = source @ projection.weights.T.astype(object) + population.bias.astype(object)
        got = loop.spikes.get(population.name, loop.logits)
        source = (potentials > 0).astype(object)
        assert np.array_equal(got, source if population.neuron.spikes else potentials)


def test_a_wrong_backend_is_caught_shrunk_and_saved(tmp_path: Path) -> None:
    wrong = changed_weights("out", lambda w: w & ~1, "rounding")
    report = fuzz(8, seed=1, backends=[wrong], save_to=tmp_path)
    assert not report.equal
    assert report.backends["rounding"].mismatches == len(report.failures) > 0
    for failure in report.failures:
        # Synapses of a spiking last population that lead to itself are rounded, too.
        assert failure["first_divergence"]["layer"] == "out"
        folder = Path(failure["saved"])
        program, inputs = load_program(folder / "program.conntra"), np.load(folder / "inputs.npy")
        sizes = [program.n_inputs, *(p.size for p in program.populations)]
        assert (len(inputs) // program.steps, sizes[-1]) == (1, 1)
        assert sum(sizes) <= 8, sizes
        document = read_certificate(folder / "certificate.json")
        assert document["chosen"]["spikes"] == "inputs.npy"
        again = recheck(document, program, inputs, backends=["loop", wrong])
        assert again.mismatch is None
        assert again.fresh is not None
        assert not again.fresh.equal
    rounded = [f for f in report.failures if "lowest weight bit" in f["diagnosis"]]
    assert len(rounded) > len(report.failures) / 2


def test_a_report_is_checked_again() -> None:
    report = fuzz(10, seed=2, backends=["reference"])
    document = json.loads(json.dumps(report.to_dict()))
    assert recheck_fuzz(document).mismatch is None
    assert str(recheck_fuzz(document | {"digest": "0"}).mismatch).startswith("digest: the certificate says")
    document["backends"]["reference"]["spikes"] += 1
    assert str(recheck_fuzz(document).mismatch).startswith("backends.reference.spikes: the certificate says")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (BackendError("broken: it broke"), "broken: it broke"),
        (ValueError("of its\nown"), "broken: ValueError: of its own"),
        (MemoryError(), "broken: MemoryError"),
    ],
)
def test_a_backend_that_crashes_is_named_and_the_run_goes_on(tmp_path: Path, error: Exception, cause: str) -> None:
    class Broken(WrongBackend):
        def execute(self, program: Program, inputs: np.ndarray, options: RunOptions):
            calls.append(1)
            if len(calls) % 3 == 0:
                raise error
            return super().execute(program, inputs, options)

    calls: list[int] = []
    report = fuzz(12, seed=4, backends=[Broken("broken"), "reference"], save_to=tmp_path, timed=False)
    tally = report.backends["broken"]
    assert not report.equal
    assert report.backends["reference"].programs == 12  # all of them, though another one has failed before
    assert (tally.programs, tally.failed, len(report.failures)) == (8, 4, 4)
    for failure in report.failures:
        assert (failure["backend"], failure["first_divergence"], failure["diagnosis"]) == ("broken", None, cause)
        folder = Path(failure["saved"])
        program, inputs = load_program(folder / "program.conntra"), np.load(folder / "inputs.npy")
        case = random_case(4, failure["index"], timed=False)
        assert program_sha256(program) == program_sha256(case.program)
        assert np.array_equal(inputs, case.inputs)
    console = Console(file=StringIO())
    console.print(fuzz_view(report.to_dict()))
    assert f"broken, program {report.failures[0]['index']}" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_backend_that_always_fails_is_given_up() -> None:
    class Dead(WrongBackend):
        def execute(self, program: Program, inputs: np.ndarray, options: RunOptions):
            raise BackendError(f"dead: nothing within {options.time_limit_s:g} s")

    report = fuzz(40, seed=4, backends=[Dead("dead")], limits={"dead": 40}, time_limit_s=9)
    assert (report.backends["dead"].failed, report.backends["dead"].programs) == (5, 0)
    assert report.failures[0]["diagnosis"] == "dead: nothing within 9 s"
    with pytest.raises(InputError, match="at least 1"):
        fuzz(0)


def test_reports_of_the_time_before_failures_were_counted_are_checked() -> None:
    document = json.loads(json.dumps(fuzz(4, seed=2).to_dict()))
    del document["backends"]["reference"]["failed"], document["seal"]
    assert recheck_fuzz(document).mismatch is None


def test_restricting_keeps_what_is_left() -> None:
    case = dense_case(0, 4)
    program = case.program
    kept = {INPUT: np.arange(program.n_inputs)} | {p.name: np.arange(0, p.size, 2) for p in program.populations}
    small = restrict(program, kept)
    for before, after in zip(program.projections, small.projections, strict=True):
        assert isinstance(after, Projection)
        assert np.array_equal(after.weights, before.weights[::2][:, kept[before.source]])
    assert {s.core for s in small.slices} <= {s.core for s in program.slices}


def test_restricting_other_projections_keeps_their_weights() -> None:
    for index in range(2, 60, 3):
        program = random_case(0, index).program
        kept = {INPUT: np.arange(0, program.n_inputs, 2)}
        kept |= {p.name: np.arange(0, p.size, 3) for p in program.populations}
        small = restrict(program, kept)
        for before, after in zip(program.projections, small.projections, strict=True):
            assert np.array_equal(after.weights, before.weights[::3][:, kept[before.source]])
    whole = {INPUT: np.arange(program.n_inputs)} | {p.name: np.arange(p.size) for p in program.populations}
    assert restrict(program, whole).projections == program.projections
