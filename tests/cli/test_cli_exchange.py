"""``conntra export``, ``conntra import`` and ``conntra train --from``."""

import numpy as np
import pytest

import conntra_neuro as cn

pytest.importorskip("nir")
pytest.importorskip("onnx")

import onnx
import onnx_graphs


def test_nir_out_and_in_again(conntra, model, network):
    exported = conntra("export", model, "--format", "nir", "--out", "iris.nir", "--json")
    assert exported.status == 0
    assert exported.document["format"] == "nir"
    assert exported.document["bytes"] == (conntra.folder / "iris.nir").stat().st_size
    imported = conntra("import", "iris.nir", "--json")
    assert imported.status == 0
    assert imported.document["model"] == "iris.conntra"
    assert imported.document["encoder"] == "thermometer"
    again = cn.load("iris.conntra")
    data = cn.load_dataset("iris")
    np.testing.assert_array_equal(again.predict(data.x_train), network.predict(data.x_train))
    assert again.labels == network.labels
    assert "layer 0" in conntra("import", "iris.nir").out
    assert "iris.nir" in conntra("export", model, "--out", "iris.nir").out


def test_programs_are_exported_too(conntra, program, network):
    assert conntra("export", program, "--out", "a.nir").status == 0
    data = cn.load_dataset("iris")
    np.testing.assert_array_equal(cn.import_network("a.nir").predict(data.x_train), network.predict(data.x_train))


def test_c_headers(conntra, model, fails):
    ran = conntra("export", model, "--out", "My-iris.2.h", "--packing", "digits", "--json")
    assert ran.status == 0, ran
    text = (conntra.folder / "My-iris.2.h").read_text()
    assert "int my_iris_2_predict(const my_iris_2_feature *x);" in text
    assert ran.document["details"]["ram_bytes"] == 4 + 4
    assert "flash tables" in conntra("export", model, "--out", "a.h", "--name", "other").out
    assert "other_predict" in (conntra.folder / "a.h").read_text()
    fails("export", model, "--out", "b.h", "--cc", "no-such-cc", says=["compiler 'no-such-cc': not found"])
    fails("export", model, "--out", "b.nir", "--packing", "bits", says=["option 'packing' is not one of its own"])


def test_what_cannot_be_exported_or_imported(fails, model, tmp_path):
    fails(
        "export",
        model,
        "--out",
        "a.xyz",
        says=["'.xyz' names no format; there are nir (.nir), netx (.net), onnx (.onnx), c (.h)"],
    )
    fails(
        "export",
        model,
        "--format",
        "keras",
        "--out",
        "a.nir",
        says=["format 'keras': unknown; allowed: nir, netx,", "onnx, c"],
    )
    fails("export", tmp_path / "none", "--out", "a.nir", says=["no such file"])
    fails("export", model, "--out", "nowhere/a.nir", says=["does not exist"])
    fails("import", tmp_path / "none.nir", says=["no such file"])
    fails("import", model, "--format", "nir", "--out", "a.conntra", says=["not a NIR file"])
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    fails("import", tmp_path / "bad.onnx", "--out", "a.conntra", says=["not an ONNX file, or a damaged one"])
    fails("import", tmp_path / "bad.onnx", "--steps", "3", "--out", "a.conntra", says=["'steps' is not one of its own"])
    (tmp_path / "bad.nir").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    fails("import", tmp_path / "bad.nir", "--out", "a.conntra", says=["not a NIR file, or a damaged one"])


def test_a_missing_package_is_named(fails, model, monkeypatch):
    from conntra_neuro.exchange import files

    monkeypatch.setattr(files, "find_spec", lambda name: None)
    fails("export", model, "--out", "a.nir", says=["pip install 'conntra-neuro[nir]'"])


@pytest.fixture
def trained(conntra):
    conntra("train", "iris", "--layers", "8", "--sweeps", "2", "--out", "first.conntra")
    return cn.load("first.conntra")


def test_training_from_a_model_ends_no_worse_on_what_decides(conntra, trained):
    ran = conntra("train", "iris", "--from", "first.conntra", "--sweeps", "5", "--out", "second.conntra", "--json")
    assert ran.status == 0
    again = cn.load("second.conntra")
    assert [layer.shape for layer in again.layers] == [layer.shape for layer in trained.layers]
    np.testing.assert_array_equal(again.encoder.thresholds, trained.encoder.thresholds)
    history = ran.document["history"]
    best = min(history, key=lambda record: (record["objective"], record["train_error"]))
    data = cn.load_dataset("iris", seed=0)
    assert history[0]["train_error"] == pytest.approx(trained.error(data.x_train, data.y_train))
    assert again.error(data.x_train, data.y_train) == pytest.approx(best["train_error"])


def test_a_good_model_is_what_is_written_where_all_that_follows_is_worse(conntra):
    conntra("train", "iris", "--layers", "8", "--sweeps", "40", "--out", "good.conntra")
    shares = ("fraction", "fraction_readout", "fraction_bias")
    wild = [word for name in shares for word in ("--option", f"{name}=0.5")]
    ran = conntra("train", "iris", "--from", "good.conntra", "--sweeps", "2", *wild, "--out", "same.conntra", "--json")
    first, *others = ran.document["history"]
    assert all(record["objective"] > first["objective"] for record in others)
    for kept, given in zip(cn.load("same.conntra").layers, cn.load("good.conntra").layers, strict=True):
        np.testing.assert_array_equal(kept.weight, given.weight)
        np.testing.assert_array_equal(kept.bias, given.bias)


def test_a_network_of_another_tool_is_refined_and_never_worse_on_what_is_held_out(conntra, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.random((5200, 12))
    y = ((x - 0.5) @ rng.normal(size=(12, 3))).argmax(axis=1)
    np.savez(tmp_path / "points.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    b = onnx_graphs.Builder(1)
    b.add("Sub", "", b.constant(np.full(12, 0.5)))
    b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
    b.add("MatMul", "", b.constant(b.binary(12, 12)))
    b.normalise(12, 3.0)
    b.add("BipolarQuant", "", b.constant(1.0), domain=onnx_graphs.QONNX)
    b.add("MatMul", "", b.constant(b.ternary(12, 3)))
    onnx.save(b.model((12,), 3), tmp_path / "theirs.onnx")
    assert conntra("import", tmp_path / "theirs.onnx", "--out", "theirs.conntra").status == 0
    theirs = cn.load("theirs.conntra")
    data = f"npz:{tmp_path / 'points.npz'}"
    ran = conntra("train", data, "--from", "theirs.conntra", "--sweeps", "4", "--out", "refined.conntra", "--json")
    assert ran.status == 0, ran
    history = ran.document["history"]
    assert abs(history[0]["train_error"] - theirs.error(x, y)) < 0.02  # some samples are held out
    refined = cn.load("refined.conntra")
    np.testing.assert_array_equal(refined.encoder.thresholds, theirs.encoder.thresholds)
    # What is kept never gives way to a higher held-out error; the lowest of them all is what is reported.
    assert ran.document["validation_error"] == min(record["validation_error"] for record in history)
    assert refined.error(x, y) < theirs.error(x, y)


@pytest.mark.parametrize("neuron", ["threshold", "relu", "if2soft"])
def test_convolutions_are_trained_further_from_a_file(conntra, neuron):
    digits = cn.load_dataset("digits", seed=0)
    x, y = digits.x_train[:200], digits.y_train[:200]
    np.savez(conntra.folder / "few.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    layers = "conv4k3s2p1,conv4k3p2d2+1,conv6k3p1+1,sumpool2,9"
    common = ("train", "npz:few.npz", "--sweeps", "1")
    first = conntra(*common, "--layers", layers, "--neuron", neuron, "--out", "a.conntra")
    assert first.status == 0, first
    ran = conntra(*common, "--from", "a.conntra", "--gear", "exact", "--out", "b.conntra", "--json")
    assert ran.status == 0, ran
    before, after = cn.load("a.conntra"), cn.load("b.conntra")
    assert [layer.neuron for layer in after.layers] == [layer.neuron for layer in before.layers]
    assert len(after.residuals) == 2
    assert [g.dilation for layer in after.layers if (g := getattr(layer, "geometry", None))][1] == (2, 2)
    history = ran.document["history"]
    assert history[-1]["objective"] < history[0]["objective"]
    assert history[0]["train_error"] == pytest.approx(before.error(x, y))


def test_training_from_what_does_not_go_with_it(fails, conntra, trained, tmp_path):
    fails("train", "iris", "--from", "none.conntra", says=["no such file"])
    fails("train", "iris", "--from", "first.conntra", "--layers", "9", says=["--layers 9: with --from"])
    fails("train", "iris", "--from", "first.conntra", "--neuron", "relu", says=["--neuron relu: with --from"])
    fails("train", "iris", "--from", "first.conntra", "--encoder", "auto", says=["an encoder of its own"])
    fails("train", "iris", "--from", "first.conntra", "--levels", "5,9", says=["not one of the levels"])
    fails("train", "digits", "--from", "first.conntra", says=["tells setosa, versicolor, virginica apart"])
    mixed = cn.DiscreteNetwork(
        [
            cn.Dense(np.eye(4), activation="graded_relu"),
            cn.Dense(np.eye(4)),
            cn.Dense(np.eye(4)[:3], activation="readout"),
        ]
    )
    cn.save(mixed, tmp_path / "mixed.conntra")
    fails("train", "iris", "--from", tmp_path / "mixed.conntra", says=["neurons of several kinds"])
