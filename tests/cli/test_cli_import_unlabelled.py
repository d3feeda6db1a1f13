"""Import and repair on samples without classes: what the float network says of them stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conntra_hardware.base.errors import ConntraError
from conntra_neuro.datasets import Unlabelled, load_dataset, unlabelled
from conntra_neuro.exchange.files import import_with_report

pytest.importorskip("onnx")

ONNX = Path(__file__).parents[1] / "data" / "float_onnx" / "sklearn_digits.onnx"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    data = load_dataset("digits")
    np.savez(tmp_path / "bare.npz", x_train=data.x_train, x_test=data.x_test)
    return tmp_path / "bare.npz"


def spiking_graph(path: Path) -> np.ndarray:
    """Write a graph of one layer of leaky neurons; return spikes over 12 steps that it is to be imported on."""
    nir = pytest.importorskip("nir")
    rng, ones = np.random.default_rng(2), np.ones(3)
    neurons = nir.LIF(tau=4 * ones, r=4 * ones, v_leak=0 * ones, v_threshold=0.9 * ones)
    nodes = {"input": nir.Input(np.array([20])), "fc": nir.Affine(rng.normal(size=(3, 20)) * 0.2, np.zeros(3))}
    nodes |= {"lif": neurons, "output": nir.Output(np.array([3]))}
    nir.write(path, nir.NIRGraph(nodes, [("input", "fc"), ("fc", "lif"), ("lif", "output")]))
    return (rng.random((1500, 12, 20)) < rng.random((1500, 1, 20)) * 0.6).astype(np.uint8)


@pytest.mark.usefixtures("repair_of_60_batches")
def test_repair_aims_at_the_float_network(samples: Path, conntra: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "out.conntra")
    command = ["import", str(ONNX), "--bits", "2", "--repair", "3", "--scale", "1", "--data", f"npz:{samples}"]
    report = conntra(*command, "--out", out, "--json").document
    assert report["repair"]["after"][0] < report["repair"]["before"][0]
    assert report["same_class"] > report["same_class_before_repair"]
    assert "accuracy" not in report
    assert report["classes"] == 10


def test_spikes_without_classes(conntra: Any, tmp_path: Path) -> None:
    x = spiking_graph(tmp_path / "net.nir")
    np.savez(tmp_path / "bare.npz", x_train=x)
    command = ["import", str(tmp_path / "net.nir"), "--bits", "3", "--repair", "1", "--steps", "12", "--dt", "1"]
    command += ["--data", f"npz:{tmp_path / 'bare.npz'}", "--out", str(tmp_path / "out.conntra")]
    report = conntra(*command, "--json").document
    assert report["repair"]["after"] <= report["repair"]["before"]
    assert min(report["same_class"], report["same_class_before_repair"]) > 0.75
    assert [layer["name"] for layer in report["agreement"]] == ["lif"]
    assert "before; " in conntra(*command).out


def test_what_cannot_be_told_without_classes_is_refused(samples: Path) -> None:
    data = unlabelled(f"npz:{samples}")
    assert data is not None
    with pytest.raises(ConntraError, match=r"has no y_train; float expected"):
        import_with_report(ONNX, data=data, repair=1.0, scale=1.0, targets="both")
    with pytest.raises(ConntraError, match="give --scale, as 255, or 1"):
        import_with_report(ONNX, data=data, assumed=[])
    constant = Unlabelled("bare", np.zeros((9, 64)), np.zeros((0, 64)))
    with pytest.raises(ConntraError, match="puts all samples of x_train into class"):
        import_with_report(ONNX, data=constant, scale=1.0)


def test_other_files_are_none_of_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "full.npz", x_train=np.eye(4), y_train=np.arange(4))
    for spec in (f"npz:{tmp_path / 'full.npz'}", f"npz:{tmp_path / 'missing.npz'}", "digits", f"mnist:{tmp_path}"):
        assert unlabelled(spec) is None
    np.savez(tmp_path / "flat.npz", x_train=np.arange(4))
    with pytest.raises(ConntraError, match="two samples or more expected"):
        unlabelled(f"npz:{tmp_path / 'flat.npz'}")
    np.savez(tmp_path / "nan.npz", x_train=np.full((4, 2), np.nan))
    with pytest.raises(ConntraError, match="NaN or infinite"):
        unlabelled(f"npz:{tmp_path / 'nan.npz'}")


def test_samples_are_held_out_by_the_seed(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", x_train=np.arange(40).reshape(20, 2))
    one, two = (unlabelled(f"npz:{tmp_path / 'bare.npz'}", seed=3) for _ in range(2))
    assert one is not None
    assert two is not None
    assert (len(one.x_train), len(one.x_test)) == (16, 4)
    assert np.array_equal(one.x_test, two.x_test)
    assert "4 of 20 samples held out, seed 3" in one.note
