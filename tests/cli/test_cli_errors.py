"""Everything a user can get wrong: one clear line, the right exit status, nothing half-written."""

import contextlib
import signal
from pathlib import Path

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends.brian2.backend import Brian2Backend


@pytest.fixture
def npz(tmp_path):
    def save(**changes):
        rng = np.random.default_rng(0)
        arrays = {"x_train": rng.normal(size=(20, 3)), "y_train": np.arange(20) % 2}
        path = tmp_path / "data.npz"
        np.savez(path, **(arrays | changes))
        return f"npz:{path}"

    return save


DATA = {
    "missing": (lambda npz, path: f"npz:{path}/none.npz", "no such file"),
    "truncated": (lambda npz, path: truncated(npz()), "truncated"),
    "unequal numbers": (lambda npz, path: npz(y_train=np.arange(19) % 2), "20 samples in x_train, 19 in y_train"),
    "test of another width": (lambda npz, path: npz(x_test=np.ones((4, 2)), y_test=[0, 1, 0, 1]), "one shape expected"),
    "NaN": (lambda npz, path: npz(x_train=np.full((20, 3), np.nan)), "NaN"),
    "labels out of range": (lambda npz, path: npz(x_test=np.ones((1, 3)), y_test=[5]), "labels out of range"),
    "labels not whole": (lambda npz, path: npz(y_train=np.arange(20) / 7), "not whole"),
    "one class": (lambda npz, path: npz(y_train=np.zeros(20, int)), "one class only"),
    "empty": (lambda npz, path: npz(x_train=np.ones((0, 3)), y_train=np.ones(0, int)), "empty"),
    "objects": (lambda npz, path: npz(x_train=np.array([None] * 20)), "objects"),
    "no such spec": (lambda npz, path: "cifar", "unknown; allowed: iris, digits, diabetes, mnist"),
    "a bare path": (lambda npz, path: npz().removeprefix("npz:"), "allowed"),
    "a folder of no images": (lambda npz, path: f"images:{path}", "no folder train"),
    "MNIST of another shape": (lambda npz, path: npz().replace("npz:", "mnist:", 1), "(n, 28, 28) expected"),
}


def truncated(spec):
    path = Path(spec.partition(":")[2])
    path.write_bytes(path.read_bytes()[:300])
    return spec


@pytest.mark.parametrize("case", DATA)
def test_unusable_data(fails, npz, tmp_path, case):
    make, says = DATA[case]
    spec = make(npz, tmp_path)
    fails("train", spec, says=[says])


OPTIONS = {
    "no number": (["--option", "sparsity=x"], "NAME=NUMBER expected"),
    "an option by another way": (["--option", "seed=3"], "has an option of its own"),
    "an unknown option": (["--option", "sparsit=1"], "unknown to gear blocks"),
    "shifts of what is no image": (["--shift", "1"], "no images"),
    "one level": (["--levels", "3,3"], "1 distinct value"),
    "too many levels": (["--levels", ",".join(map(str, range(300)))], "300 distinct value(s); 2 to 256 allowed"),
    "no level": (["--levels", ""], "levels ''"),
    "a level alone": (["--levels", "1"], "2 to 256 allowed"),
    "levels of nonsense": (["--levels", "few"], "binary, ternary"),
    "layers of nonsense": (["--layers", "256;10"], "no layer"),
    "negative layers": (["--layers", "-5"], "no layer"),
    "method": (["--method", "magic"], "method 'magic': unknown"),
    "gear": (["--gear", "reverse"], "gear 'reverse': unknown; allowed: blocks"),
    "encoder": (["--encoder", "magic"], "encoder 'magic': unknown"),
    "time steps for neurons of one": (["--encoder", "rate"], "encoder of 8 time steps, neurons (threshold) of 1"),
    "seed": (["--seed", "-1"], "seed"),
    "sweeps": (["--sweeps", "0"], "sweeps 0"),
    "time limit": (["--time-limit", "-1"], "time limit"),
    "out in no folder": (["--out", "nowhere/a.conntra"], "its folder nowhere does not exist"),
    "out is a folder": (["--out", "."], "a folder; name a file in it"),
    "a word for a number": (["--sweeps", "many"], "'--sweeps'"),
    "no such option": (["--fast"], "No such option: --fast"),
    "spikes wanted": (["--encoder", "none"], "other than 0 and 1"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_unusable_options_of_train(fails, case):
    options, says = OPTIONS[case]
    fails("train", "iris", *options, says=[says])


def test_usage(fails):
    fails("tran", says=["No such command 'tran'", "conntra -h"])
    fails("train", says=["DATA", "conntra train -h"])
    fails("compile", says=["MODEL"])
    fails("chips", "loihi9", says=["unknown; allowed: loihi1, loihi2"])


@pytest.mark.parametrize("verb", ["check", "compile", "run", "verify"])
def test_unusable_files(fails, model, program, tmp_path, verb):
    right, wrong = (model, program) if verb in ("check", "compile") else (program, model)
    kind = "model" if verb in ("check", "compile") else "program"
    fails(verb, tmp_path / "none", says=["none: no such file"])
    fails(verb, tmp_path, says=["a folder"])
    fails(verb, wrong, says=[f"a {kind} file is expected"])
    whole = right.read_bytes()
    right.write_bytes(whole[:-9])
    fails(verb, right, says=["truncated", str(right)])
    flipped = bytearray(whole)
    flipped[-5] ^= 4
    right.write_bytes(flipped)
    fails(verb, right, says=["damaged", "checksum"])
    right.write_text("a text")
    fails(verb, right, says=["not a model or program file"])


def test_unusable_cores(fails, model):
    fails("compile", model, "--cores", "0", says=["cores: 0; 1 to 128 allowed"])


@pytest.mark.parametrize("verb", ["check", "compile"])
def test_unknown_chips(fails, model, verb, tmp_path):
    fails(verb, model, "--chip", "loihi9", says=["chip 'loihi9': unknown; allowed: loihi1, loihi2"])
    fails(verb, model, "--chip", tmp_path / "none.toml", says=["cannot be read"])


@pytest.mark.parametrize("verb", ["run", "verify"])
def test_unusable_samples(fails, network, program, npz, tmp_path, verb):
    fails(verb, program, "--samples", "0", says=["1 to 30 allowed"])
    fails(verb, program, "--samples", "31", says=["iris has 30 samples in split test"])
    fails(verb, program, "--split", "some", says=["allowed: test, train, all"])
    fails(verb, program, "--data", "digits", says=["classes 0, 1, 2", "setosa"])
    fails(verb, program, "--data", "none", says=["unknown; allowed: iris"])
    fails(verb, program, "--time-limit", "soon", says=["--time-limit"])
    fails(verb, program, "--out", "nowhere/x.json", says=["does not exist"])
    nameless = tmp_path / "nameless"
    cn.save(cn.compile(network), nameless)
    fails(verb, nameless, says=["--data: not given"])
    unlabelled = tmp_path / "unlabelled"
    cn.save(cn.compile(cn.DiscreteNetwork(network.layers, network.encoder)), unlabelled)
    fails(verb, unlabelled, "--data", npz(), says=["features: 3 a sample; 4 expected"])


def test_unusable_backends(fails, program):
    fails("run", program, "--backend", "matlab", says=["backend 'matlab': unknown; allowed: reference, lava"])
    fails("verify", program, "--backends", "reference,matlab", says=["'matlab': unknown"])
    fails("verify", program, "--backends", "reference", says=["at least 2"])
    fails("verify", program, "--backends", "", says=["at least 2"])


def test_lava_missing(fails, program, monkeypatch, tmp_path):
    from importlib import metadata

    monkeypatch.delenv("CONNTRA_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path))  # where no private environment is
    known = metadata.version

    def version(name):
        if name == "lava-nc":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", version)
    fails("run", program, "--backend", "lava", says=["lava:", "install"])
    fails("verify", program, says=["lava:", "install"])


def test_a_backend_that_hangs(fails, program, monkeypatch):
    """A simulator that needs longer than it is given is ended, with all its processes."""
    fails("run", program, "--backend", "brian2", "--time-limit", "0.05", says=["brian2", "time limit of 0.05 s"])
    fails("verify", program, "--backends", "reference,brian2", "--time-limit", "0.05", says=["time limit of 0.05 s"])


def test_a_defect_of_ours_is_one_line_and_a_traceback_only_with_debug(conntra, fails, program, monkeypatch):
    def broken(*_):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(Brian2Backend, "execute", broken)
    fails("run", program, "--backend", "brian2", says=["unexpected RuntimeError: two lines", "--debug"])
    ran = conntra("run", program, "--backend", "brian2", "--debug")
    assert ran.status == 2
    assert "Traceback" in ran.err


def test_out_of_memory_is_no_defect(fails, program, monkeypatch):
    def starved(*_):
        raise MemoryError("Unable to allocate 44.7 GiB")

    monkeypatch.setattr(Brian2Backend, "execute", starved)
    ran = fails(
        "run", program, "--backend", "brian2", says=["out of memory: Unable to allocate 44.7 GiB", "fewer samples"]
    )
    assert "report" not in ran.err


def test_a_verb_that_cannot_begin_says_one_line(fails):
    fails("compare", "iris", "--methods", "magic", says=["method magic: unknown; allowed: "])
    fails("verify", "--fuzz", "1", "--budget", "-1", says=["a budget of -1 s; more than 0 expected"])


def test_ctrl_c_ends_with_130(conntra, program, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Brian2Backend, "execute", interrupted)
    ran = conntra("run", program, "--backend", "brian2", "--out", "r.json")
    assert ran.status == 130
    assert ran.err.strip() == "conntra: interrupted; nothing was written"
    assert not list(conntra.folder.iterdir())


def test_ctrl_c_keeps_the_best_network_so_far(conntra, monkeypatch):
    @contextlib.contextmanager
    def impatient(quiet):
        yield lambda progress: signal.raise_signal(signal.SIGINT) if progress.sweep >= 2 else None

    monkeypatch.setattr("conntra_neuro.cli.train.training_bar", impatient)
    ran = conntra("train", "iris", "--json")
    assert ran.status == 0
    assert ran.document["interrupted"] is True
    assert len(ran.document["history"]) == 2
    assert ran.err == "interrupted: the best network so far is in iris.conntra\n"
    assert isinstance(cn.load("iris.conntra"), cn.DiscreteNetwork)
