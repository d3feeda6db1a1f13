"""Values do not change once they are made, are shown in one short line, and have a table."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import conntra_neuro as cn


def network() -> cn.DiscreteNetwork:
    rng = np.random.default_rng(0)
    conv = cn.Conv2d(rng.integers(-1, 2, (3, 1, 2, 2)), input_shape=(1, 4, 4), stride=2)
    dense = cn.Dense(rng.integers(-1, 2, (2, 12)), activation="readout")
    return cn.DiscreteNetwork([conv, dense], labels=["<b>no</b>", "yes"])


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    net = network()
    program = cn.compile(net, chip="loihi1")
    x = (np.random.default_rng(1).random((9, 16)) < 0.5).astype(np.uint8)
    result = program.run(x, np.zeros(9, int))
    trained = cn.train(cn.load_dataset("iris"), layers=[4], sweeps=1)
    return {
        "network": net,
        "program": program,
        "result": result,
        "certificate": program.verify(x, backends=["reference", "loop"]),
        "estimate": cn.estimate(result.counts, program, "davies2018"),
        "trained": trained,
        "counts": result.counts,
        "recording": result.recording,
    }


KINDS = ("network", "program", "result", "certificate", "estimate", "trained", "counts", "recording")


@pytest.mark.parametrize("kind", KINDS)
def test_repr_is_one_short_line(values: dict[str, Any], kind: str) -> None:
    text = repr(values[kind])
    assert "\n" not in text
    assert "array(" not in text
    assert len(text) < 160
    assert text.startswith(type(values[kind]).__name__ + "(")


def test_a_table_is_shown_once_inside_a_notebook(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich displays all that it prints in a notebook, whatever file it was told to print to."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *arguments: pytest.fail("displayed twice"))
    for kind in ("network", "program", "result", "certificate", "estimate", "trained"):
        assert values[kind]._repr_html_()
        assert values[kind].summary()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("network", ["16 -> 12 -> 2", "Conv2d 2x2, stride (2, 2)", "3 x 2 x 2", "less than float64"]),
        ("program", ["loihi1: 1 of 128 cores", "hidden0", "memory"]),
        ("result", ["on reference", "9 samples", "synaptic operations", "modelled, not measured"]),
        ("certificate", ["equal: reference, loop", "sha256"]),
        ("estimate", ["davies2018", "modelled, not measured"]),
        ("trained", ["test error", "trained by conntra"]),
    ],
)
def test_summary_is_the_table(values: dict[str, Any], kind: str, says: list[str]) -> None:
    text = values[kind].summary()
    for words in says:
        assert words in text, text
    assert "\x1b" not in text
    html = values[kind]._repr_html_()
    assert html.startswith("<pre")
    assert says[0].replace(">", "&gt;") in html


def test_what_comes_from_outside_is_escaped(values: dict[str, Any]) -> None:
    program = values["program"]
    renamed = cn.Program(
        program.chip,
        program.n_inputs,
        tuple(_renamed(p) for p in program.populations),
        tuple(_joined(p) for p in program.projections),
        tuple(_renamed_slice(s) for s in program.slices),
    )
    html = renamed._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def _name(name: str) -> str:
    return "<script>" if name == "hidden0" else name


def _renamed(population: Any) -> Any:
    return type(population)(_name(population.name), population.neuron, population.bias)


def _joined(projection: Any) -> Any:
    from dataclasses import replace

    return replace(projection, source=_name(projection.source), target=_name(projection.target))


def _renamed_slice(s: Any) -> Any:
    from dataclasses import replace

    return replace(s, population=_name(s.population))


LAYERS = {
    "Dense": lambda: cn.Dense([[1, -1]]),
    "Conv2d": lambda: cn.Conv2d(np.ones((1, 1, 2, 2), int), input_shape=(1, 3, 3)),
    "SumPool": lambda: cn.SumPool(2, input_shape=(1, 4, 4)),
    "MaxPool": lambda: cn.MaxPool(2, input_shape=(1, 4, 4)),
    "Flatten": lambda: cn.Flatten((1, 4, 4)),
    "Residual": lambda: cn.Residual(0, 1),
    "DiscreteNetwork": network,
    "Threshold": cn.Threshold,
    "encoder": lambda: cn.fit_encoder(np.eye(3)),
    "Dataset": lambda: cn.load_dataset("iris"),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_nothing_can_be_changed_after_it_is_made(kind: str) -> None:
    value = LAYERS[kind]()
    names = [name for name in vars(value) if not name.startswith("_")] or ["anything"]
    for name in names:
        with pytest.raises(AttributeError):
            setattr(value, name, getattr(value, name, 0))
    for name, found in vars(value).items():
        if isinstance(found, np.ndarray) and found.size and not isinstance(found, np.memmap):
            assert not found.flags.writeable, name
    with pytest.raises(AttributeError):
        value.new_attribute = 1


def test_arrays_are_copies() -> None:
    weight, bias = np.array([[1, -1]]), np.array([3])
    layer = cn.Dense(weight, bias)
    weight[:], bias[:] = 0, 0
    assert layer.weight.tolist() == [[1, -1]]
    assert layer.bias.tolist() == [3]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_values_can_be_copied(copied: Any) -> None:
    net = network()
    again = copied(net)
    x = np.eye(16, dtype=np.uint8)
    assert np.array_equal(again.forward(x), net.forward(x))
    with pytest.raises(AttributeError):
        again.labels = None


def test_labels_are_unique() -> None:
    layers = network().layers
    with pytest.raises(cn.InputError, match="each class needs one of its own"):
        cn.DiscreteNetwork(layers, labels=["a", "a"])
    data = cn.load_dataset("iris")
    with pytest.raises(cn.InputError, match="each class needs one of its own"):
        cn.Dataset("d", data.x_train, data.y_train, data.x_test, data.y_test, ("a", "b", "a"))


def test_both_packages_are_typed() -> None:
    from importlib.resources import files

    for package in ("conntra_neuro", "conntra_hardware"):
        assert files(package).joinpath("py.typed").is_file()
