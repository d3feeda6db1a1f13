"""What the verbs do when all is well, and when the answer is no."""

import json
import subprocess
import sys

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends.reference import ReferenceBackend

VERBS = (
    "demo",
    "train",
    "compare",
    "pareto",
    "tune",
    "compile",
    "check",
    "run",
    "verify",
    "report",
    "show",
    "chips",
    "datasets",
    "doctor",
)


def fields(document, *names):
    assert set(names) <= set(document), set(names) - set(document)


def test_training_says_how_it_moved_images_unasked(conntra):
    moved = conntra("train", "digits", "--layers", "4", "--sweeps", "1")
    words = " ".join(moved.out.split())
    assert (
        "bent by about 0.5 pixels, anew in each sweep; the default with 144 of a class, --shift 0 leaves them" in words
    )
    left = conntra("train", "digits", "--layers", "4", "--sweeps", "1", "--shift", "0")
    assert "training images" not in left.out
    asked = conntra("train", "digits", "--layers", "4", "--sweeps", "1", "--shift", "1", "--elastic", "0", "--json")
    assert [asked.document[name] for name in ("shift", "elastic", "moved_unasked")] == [1, 0, False]
    table = conntra("train", "digits", "--layers", "4", "--sweeps", "1", "--shift", "1", "--elastic", "0")
    assert "shifted by up to 1 pixel, anew in each sweep training error" in " ".join(table.out.split())


def test_train_compile_check_run_verify(conntra):
    trained = conntra("train", "iris", "--layers", "8", "--sweeps", "3", "--seed", "3", "--json")
    assert trained.status == 0
    fields(
        trained.document, "model", "seed", "method", "levels", "layers", "train_error", "test_error", "train_seconds"
    )
    fields(
        trained.document, "memory_bytes", "memory_bytes_float64", "memory_bytes_float32", "nonzero_fraction", "history"
    )
    assert (trained.document["model"], trained.document["layers"]) == ("iris.conntra", [8])
    assert trained.document["memory_bytes_float64"] == 8 * trained.document["parameters"]
    assert json.loads(json.dumps(trained.document["history"])) == trained.document["history"]

    compiled = conntra("compile", "iris.conntra", "--json")
    fields(compiled.document, "program", "chip", "cores_used", "cores")
    fields(compiled.document["cores"][0], "core", "neurons", "synapses", "memory_bits", "fan_in_axons", "fan_out_axons")
    assert compiled.document["program"] == "iris.loihi1.conntra"

    checked = conntra("check", "iris.conntra", "--json")
    assert (checked.status, checked.document["fits"], checked.document["violations"]) == (0, True, [])

    ran = conntra("run", "iris.loihi1.conntra", "--json", "--out", "result.json")
    fields(
        ran.document, "backend", "samples", "accuracy", "run_seconds", "counts", "energy", "latency_s", "throughput_hz"
    )
    fields(ran.document["counts"], "synops", "neuron_updates", "spikes", "packets", "hops", "time_steps")
    for energy in ran.document["energy"]:
        fields(energy, "coefficients", "total_j", "dynamic_j", "per_inference_j", "breakdown")
        assert energy["modelled"] is True
    assert ran.document["accuracy"] == pytest.approx(1 - trained.document["test_error"])
    assert json.loads((conntra.folder / "result.json").read_text()) == ran.document

    verified = conntra("verify", "iris.loihi1.conntra", "--backends", "reference,brian2", "--samples", "5", "--json")
    assert verified.status == 0
    fields(verified.document, "equal", "samples", "backends", "compared", "first_divergence", "versions")
    assert verified.document["equal"] is True
    assert verified.document["first_divergence"] is None


def test_people_get_tables(conntra, model, program):
    assert "loihi1: 1 of 128 cores" in conntra("compile", model, "--out", "a.conntra").out
    assert "loihi1: 3 of 128 cores" in conntra("compile", model, "--out", "a.conntra", "--cores", "3").out
    assert "fits loihi1" in conntra("check", model).out
    ran = conntra("run", program).out
    for words in ("accuracy", "modelled, not measured", "davies2018", "sanafe2025", "static energy"):
        assert words in ran
    trained = conntra("train", "iris", "--layers", "none", "--sweeps", "2").out
    for words in ("test error", "less than float64", "ternary weights", "next: conntra compile iris.conntra"):
        assert words in trained
    assert "loihi2" in conntra("chips").out
    assert "Davies" in conntra("chips", "loihi1").out
    assert "images:DIR" in conntra("datasets").out


def test_quiet_says_nothing(conntra, model, program):
    for flag in ("--quiet", "-q"):
        for arguments in (("compile", model, "--out", "a"), ("check", model), ("run", program), ("chips",)):
            ran = conntra(*arguments, flag)
            assert (ran.status, ran.out, ran.err) == (0, "", "")


def test_runs_take_the_data_and_seed_of_the_training(conntra, program):
    ran = conntra("run", program, "--json").document
    data, loaded = cn.load_dataset("iris", seed=3), cn.load(program)
    assert ran["accuracy"] == loaded.run(data.x_test, data.y_test).accuracy
    assert (ran["data"], ran["split"], ran["samples"]) == ("iris", "test", 30)
    everything = conntra("run", program, "--split", "all", "--json").document
    assert everything["samples"] == 150
    assert conntra("run", program, "--samples", "7", "--json").document["samples"] == 7


def test_a_model_that_does_not_fit_is_a_no(conntra, too_large):
    for verb in ("check", "compile"):
        ran = conntra(verb, too_large, "--json")
        assert ran.status == 1
        assert ran.document["fits"] is False
        fields(ran.document["violations"][0], "layer", "resource", "used", "limit", "remedy")
        table = conntra(verb, too_large)
        assert table.status == 1
        assert "does not fit loihi1" in table.out
        assert "split inputs in two groups" in table.out
    assert not list(conntra.folder.iterdir())


class OffByOne(ReferenceBackend):
    """Fires at a potential of 0, which is not above it."""

    name = "brian2"

    def execute(self, program, inputs, options):
        import dataclasses

        first = program.populations[0]
        wrong = dataclasses.replace(first, bias=np.asarray(first.bias) + 1)
        return super().execute(
            dataclasses.replace(program, populations=(wrong, *program.populations[1:])), inputs, options
        )


def test_simulators_that_differ_are_a_no(conntra, program, monkeypatch):
    backends = {"reference": ReferenceBackend, "brian2": OffByOne}
    monkeypatch.setattr("conntra_hardware.proof.verify.load_backend", lambda name: backends[name]())
    ran = conntra("verify", program, "--backends", "reference,brian2", "--json", "--out", "certificate.json")
    assert ran.status == 1
    assert ran.document["equal"] is False
    names = ("backend", "layer", "neuron", "time_step", "sample", "expected", "got", "inputs")
    fields(ran.document["first_divergence"], *names)
    assert json.loads((conntra.folder / "certificate.json").read_text()) == ran.document
    table = conntra("verify", program, "--backends", "reference,brian2")
    assert table.status == 1
    assert "NOT equal" in table.out
    assert "first divergence" in table.out


def test_doctor_names_what_is_missing_and_the_remedy(conntra, monkeypatch):
    from importlib import metadata

    known = metadata.version

    def version(name):
        if name in ("lava-nc", "jax"):
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr("conntra_neuro.cli.doctor.version", version)
    monkeypatch.delenv("CONNTRA_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("CONNTRA_CACHE", str(conntra.folder / "cache"))
    ran = conntra("doctor", "--quick", "--json")
    assert ran.status == 0
    backends = {backend["name"]: backend for backend in ran.document["backends"]}
    assert backends["reference"]["ok"]
    assert not backends["lava"]["ok"]
    assert backends["lava"]["remedy"]
    extras = {extra["name"]: extra for extra in ran.document["extras"]}
    assert extras["backprop"]["remedy"] == "pip install 'conntra-neuro[backprop]'"
    table = conntra("doctor", "--quick").out
    assert backends["lava"]["reason"][:20] in table


def test_doctor_runs_a_neuron_on_each_backend(conntra, monkeypatch):
    monkeypatch.setattr("conntra_hardware.backends.BACKENDS", ("reference", "loop", "brian2", "loihi"))
    ran = conntra("doctor", "--json")
    tried = {backend["name"]: (backend["ok"], backend["tried"]) for backend in ran.document["backends"]}
    assert tried == {"reference": (True, True), "loop": (True, True), "brian2": (True, True), "loihi": (False, False)}
    quick = conntra("doctor", "--quick", "--json")
    assert not any(backend["tried"] for backend in quick.document["backends"])


def test_doctor_believes_a_trial_more_than_a_package(conntra, monkeypatch):
    """Brian2 2.9 beside NumPy 2.4 is installed, and fails at its first array."""
    from conntra_hardware.backends.brian2.backend import Brian2Backend
    from conntra_hardware.base.errors import BackendError

    def execute(self, program, inputs, options):
        raise BackendError("brian2: failed: AttributeError: type object 'numpy.ndarray' has no attribute 'ptp'")

    monkeypatch.setattr(Brian2Backend, "execute", execute)
    monkeypatch.setattr("conntra_hardware.backends.BACKENDS", ("reference", "brian2"))
    brian2 = conntra("doctor", "--json").document["backends"][1]
    assert not brian2["ok"]
    assert "a trial with one neuron failed: brian2: failed: AttributeError" in brian2["reason"]
    assert brian2["remedy"]


def test_doctor_survives_a_backend_that_breaks(conntra, monkeypatch):
    def broken(name):
        raise ImportError("no\nsuch module")

    monkeypatch.setattr("conntra_hardware.backends.load_backend", broken)
    ran = conntra("doctor", "--quick", "--json")
    assert ran.status == 0
    assert all(backend["reason"] == "ImportError: no such module" for backend in ran.document["backends"])


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(conntra, verb, flag):
    ran = conntra(verb, flag)
    assert ran.status == 0
    assert "Example" in ran.out
    assert f"conntra {verb}" in ran.out
    for option in ("--json", "--quiet", "--seed"):
        assert option in ran.out


def test_help_of_the_whole(conntra):
    for arguments in ((), ("-h",)):
        ran = conntra(*arguments)
        assert ran.status == 0
        for verb in VERBS:
            assert verb in ran.out
    assert conntra("--version").out == f"conntra {cn.__version__}\n"


def test_json_is_all_there_is_on_standard_output(conntra, program, monkeypatch):
    from conntra_hardware import runtime

    run = runtime.run

    def chatty(*args, **options):
        print("a library that prints")
        return run(*args, **options)

    monkeypatch.setattr(runtime, "run", chatty)
    ran = conntra("run", program, "--json")
    assert ran.document["samples"] == 30
    assert "a library that prints" in ran.err


def test_starting_imports_nothing_heavy():
    heavy = "numpy|scipy|sklearn|numba|lava|brian2|jax|matplotlib|dask|safetensors"
    code = f"import sys, conntra_neuro.cli.app; sys.exit(str(sorted(set(sys.modules) & set('{heavy}'.split('|')))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_a_reader_that_leaves_early_is_no_error():
    command = f"{sys.executable} -m conntra_neuro chips loihi1 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("loihi1")
    assert done.stderr == ""
