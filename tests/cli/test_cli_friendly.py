"""Friendly ends: what a file is, what was probably meant, run files, and progress where no bar can be drawn."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_neuro.cli import progress
from conntra_neuro.cli.run_file import read_run_file, run_file, settings_of_run
from conntra_neuro.training.result import Progress


def weights(path):
    return [np.asarray(layer.weight) for layer in cn.load(path).layers]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["train", "digts"], "digits"),
        (["train", "nzp:x.npz"], "npz:x.npz"),
        (["train", "iris", "--neuron", "thresold"], "threshold"),
        (["train", "iris", "--gear", "block"], "blocks"),
        (["train", "iris", "--method", "conntr"], "conntra"),
        (["train", "iris", "--encoder", "thermometr"], "thermometer"),
        (["train", "iris", "--option", "sparsty=0.1"], "sparsity"),
        (["train", "iris", "--penalty", "enrgy=1"], "energy"),
        (["compile", "{model}", "--chip", "lohi1"], "loihi1"),
        (["run", "{program}", "--backend", "LAVAA"], "lava"),
        (["run", "{program}", "--split", "tset"], "test"),
        (["chips", "--nothing-like-it"], None),
    ],
)
def test_did_you_mean(arguments, meant, fails, model, program):
    ran = fails(*(argument.format(model=model, program=program) for argument in arguments))
    assert (f"(did you mean {meant}?)" in ran.err) == (meant is not None)


def test_a_path_without_its_kind(conntra):
    (conntra.folder / "photos" / "train").mkdir(parents=True)
    assert "(did you mean npz:some/x.npz?)" in conntra("train", "some/x.npz").err
    assert "(did you mean images:photos?)" in conntra("train", "photos").err


def test_nothing_is_suggested_that_is_not_alike(fails):
    assert "did you mean" not in fails("train", "cifar100").err


def test_show_a_model_and_a_program(conntra, model, program):
    ran = conntra("show", model, "--json")
    assert ran.status == 0
    document = ran.document
    assert document["kind"] == "model"
    assert (document["inputs"], document["classes"], document["steps"]) == (8, 3, 1)
    assert document["bytes"] == model.stat().st_size
    assert document["provenance"] == {"data": "iris", "seed": 3}
    assert document["next"][1] == f"conntra compile {model} --chip loihi1"
    table = conntra("show", model)
    assert "8 inputs, 3 classes" in table.out
    assert f"next: conntra check {model}" in table.out.replace("\n", "")
    document = conntra("show", program, "--json").document
    assert document["kind"] == "program"
    assert document["populations"] == [{"name": "hidden0", "size": 5}, {"name": "readout", "size": 3}]
    for command in document["next"]:
        verb, *arguments = command.split()[1:]
        extra = ["--backends", "reference,loop", "--samples", "5"] if verb == "verify" else []
        arguments = [a for a in arguments if a not in ("--samples", "100")]
        assert conntra(verb, *arguments, *extra).status == 0, "the next command works"


def test_show_results_certificates_reports_and_checkpoints(conntra, program):
    assert conntra("run", program, "--out", "run.json", "--samples", 7).status == 0
    assert conntra("verify", program, "--backends", "reference,loop", "--samples", 7, "--out", "c.json").status == 0
    assert conntra("report", "run.json", "--out", "r.html").status == 0
    assert conntra("train", "iris", "--layers", "4", "--checkpoint", "folder", "--out", "m.conntra").status == 0
    shown = conntra("show", "run.json", "--json").document
    assert (shown["kind"], shown["samples"], shown["next"]) == ("run", 7, ["conntra report run.json"])
    assert "7 samples" in conntra("show", "run.json").out
    certificate = conntra("show", "c.json", "--json").document
    assert certificate["kind"] == "certificate"
    assert certificate["equal"] is True
    assert "equal: reference, loop" in conntra("show", "c.json").out
    again = certificate["next"][0].replace("PROGRAM", str(program))
    assert conntra(*again.split()[1:]).status == 0, "the next command works"
    assert conntra("show", "r.html", "--json").document["kind"] == "report"
    for name in ("folder", "folder/checkpoint.conntra"):
        checkpoint = conntra("show", name, "--json").document
        assert checkpoint["kind"] == "checkpoint"
        assert checkpoint["settings"]["samples"] == 120
        assert checkpoint["sweep"] >= 1
        assert checkpoint["arrays"]
    assert "sweep" in conntra("show", "folder").out


def test_what_cannot_be_shown_is_said(conntra, fails, model):
    damaged = conntra.folder / "damaged.conntra"
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    fails("show", damaged, says=["damaged", "restore it"])
    fails("show", "nowhere", says=["check the name"])
    fails("show", conntra.folder, says=["a folder without a checkpoint"])
    fails("show", write(conntra.folder / "a.txt", "hello, this is text"), says=["nothing that conntra writes"])
    fails("show", write(conntra.folder / "x.onnx", "graph"), says=["conntra import"])
    fails("show", write(conntra.folder / "other.json", "{}"), says=["missing"])
    fails("show", write(conntra.folder / "other.toml", "x = 1"), says=["no run file"])
    fails("show", model, "--run-file", "again.toml", says=["does not hold how it was trained"])


def test_a_run_file_gives_the_same_network(conntra):
    file = write(
        conntra.folder / "run.toml",
        'data = "iris"\nlayers = [6, 5]\nlevels = [-2, -1, 0, 1, 2]\nseed = 3\nout = "a.conntra"\n'
        "[option]\nsparsity = 0.02\n",
    )
    assert conntra("train", "--config", file).status == 0
    by_hand = ["--layers", "6,5", "--levels=-2,-1,0,1,2", "--seed", "3", "--option", "sparsity=0.02"]
    assert conntra("train", "iris", *by_hand, "--out", "b.conntra").status == 0
    assert conntra("show", "b.conntra", "--run-file", "again.toml").status == 0
    assert conntra("train", "--config", "again.toml", "--out", "c.conntra").status == 0
    for other in ("b.conntra", "c.conntra"):
        for one, two in zip(weights("a.conntra"), weights(other), strict=True):
            np.testing.assert_array_equal(one, two)
    assert conntra("show", "again.toml", "--json").document["kind"] == "run file"
    assert conntra("compile", "c.conntra", "--out", "c.program").status == 0
    assert conntra("show", "c.program", "--json").document["provenance"]["run"]["layers"] == "6,5"


def test_the_command_line_goes_before_a_run_file(conntra):
    file = write(conntra.folder / "run.toml", 'data = "iris"\nlayers = 4\nseed = 3\nsweeps = 2\n')
    document = conntra("train", "--config", file, "--seed", "5", "--json").document
    assert (document["seed"], document["layers"], document["data"]) == (5, [4], "iris")
    assert len(document["history"]) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sede = 1", "sede: unknown (did you mean seed?)"),
        ("layers = [", "not TOML"),
        ("layers = true", "layers: True; a text or a number expected"),
        ("option = 3", "option: a table of numbers expected"),
        ("option.sparsity = [1]", "option.sparsity: [1]; a text or a number expected"),
        ("seed = 1.5", "--seed"),
        ("recurrent = 1", "recurrent: 1; true or false expected"),
        ("[option]\nnothing = 1", "option 'nothing': unknown to gear blocks"),
    ],
)
def test_a_wrong_run_file_is_one_line(text, says, conntra, fails):
    file = write(conntra.folder / "run.toml", f"{text}\n" if "option" in text else f'data = "iris"\n{text}\n')
    fails("train", "iris", "--config", file, says=[says])


def test_strings_of_a_run_file_come_back(tmp_path):
    data = 'npz:a "b"\\c\t\x7fü\n.npz'
    asked = {"data": data, "seed": 0, "option": ["sigma = 0.5", "batch=8"], "layers": None, "recurrent": True}
    asked |= {"initial": Path("some/model"), "out": Path("here"), "json": True, "shift": 0}
    path = write(tmp_path / "run.toml", run_file(settings_of_run(asked), "1.0"))
    expected = {"data": data, "seed": "0", "option": ["sigma=0.5", "batch=8"], "recurrent": True}
    flags = {name: name == "recurrent" for name in (*expected, "initial")}
    assert read_run_file(path, flags) == expected | {"initial": "some/model"}


def test_a_run_file_may_hold_every_option_of_train(conntra):
    allowed = conntra("train", "--config", write(conntra.folder / "run.toml", "nothing-like-it = 1\n")).err
    listed = allowed.partition("allowed: ")[2].strip().split(", ")
    words = {word for line in conntra("train", "-h").out.splitlines() for word in line.replace("\u2502", " ").split()}
    options = {word[2:] for word in words if word.startswith("--") and word[2:].replace("-", "").isalpha()}
    assert {"data", "layers", "from", "recurrent", "time-limit"} <= set(listed)
    assert options - set(listed) == {"config", "json", "quiet", "debug", "help"}


def test_train_without_data(conntra, fails, monkeypatch):
    fails("train", says=["DATA: not given", "conntra train digits", "conntra train -h"])
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    ran = conntra("train")
    assert ran.status == 2
    assert ran.out.count("conntra train ") >= 4
    assert max(map(len, ran.out.splitlines())) < 80


def line(sweep):
    return Progress(
        sweep=sweep, sweeps=10, seconds=1.0, objective=0.5, train_error=0.25, validation_error=None, best=None
    )


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    with progress.training_bar(False) as show:
        show(line(3))
    assert capsys.readouterr().err == "training  30%  objective 0.5000  training error 25.00 %\n"
    with progress.training_bar(True) as show:
        assert show is None
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 1000.0)
    with progress.training_bar(False) as show:
        show(line(3))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("width", [20, 40, 200])
def test_progress_fits_into_its_terminal(width, monkeypatch):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, force_terminal=True, no_color=True)
    monkeypatch.setattr(progress, "_console", lambda quiet: console)
    with progress.training_bar(False) as show:
        show(line(3))
    last = console.file.getvalue().replace("\x1b", "\n").splitlines()
    shown = [part.partition("K")[2] for part in last if "training" in part]
    assert shown
    assert all(len(part) <= width for part in shown), shown
    assert any("30%" in part for part in shown)


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_no_colour_where_none_is_wanted(variable, monkeypatch, network):
    from rich.console import Console

    from conntra_neuro.report.summary import view

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(variable, "dumb")
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    console.print(view(network))
    text = console.file.getvalue()
    assert not any(f"\x1b[3{colour}m" in text for colour in range(8))


def test_show_leaves_recordings_out_of_its_json(conntra, program):
    conntra("run", program, "--out", "run.json", "--samples", 7)
    full = json.loads((conntra.folder / "run.json").read_text())
    assert "recorded" in full
    assert "recorded" not in conntra("show", "run.json", "--json").document
