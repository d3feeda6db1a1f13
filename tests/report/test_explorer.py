"""What the spike explorer of a report is given: whole samples, exactly as they ran, and not too many of them."""

import copy
import re

import numpy as np
import over_time
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import FileFormatError
from conntra_neuro.report import explorer
from conntra_neuro.report.documents import run_document
from conntra_neuro.report.html import report_html
from conntra_neuro.report.recorded import unpack


def explored(network, x, labels=None, chip="loihi1", **more):
    program = cn.compile(network, chip=chip)
    result = program.run(x, labels)
    document = run_document(result, labels=labels, inputs=program.encode(x), features=x, **more)
    return result, document["explorer"]


def core_of(layer, neuron):
    """Plain loops over the slices, as the page's script has them."""
    for start, stop, core, runs, stride in layer["places"]:
        for run in range(runs):
            if start + run * stride <= neuron < stop + run * stride:
                return core
    return None


@pytest.mark.parametrize("seed", range(6))
def test_spikes_and_decisions_are_those_of_the_run(seed):
    network, spikes = over_time.random_network(seed)
    result, told = explored(network, spikes)
    chosen = [sample["index"] for sample in told["samples"]]
    assert chosen == list(range(min(len(spikes), explorer.SAMPLES)))
    steps = network.steps
    for layer in told["layers"][1:]:
        if layer["name"] in result.spikes:
            recorded = result.spikes[layer["name"]].reshape(len(spikes), steps, -1)[chosen]
            assert np.array_equal(unpack(layer["sent"]), recorded)
    assert np.array_equal(unpack(told["decision"])[:, -1], result.logits[chosen])
    # A sample that ends earlier is one whose later inputs are silent to what has been decided by then.
    first = cn.DiscreteNetwork(network.layers, steps=network.steps, recurrent=network.recurrent).stream()
    for sample in chosen[:2]:
        first.reset()
        rows = first.push(np.asarray(spikes[sample]).reshape(steps, -1))
        facts = result.program.readout.neuron.facts
        if result.program.readout.neuron.spikes:
            expected = np.cumsum(rows, axis=0)
        else:
            expected = np.maximum.accumulate(rows, axis=0) if facts.read == "max" else rows
        assert np.array_equal(unpack(told["decision"])[chosen.index(sample)], expected)


def test_potentials_say_who_spikes(document, ran):
    result, _, inputs = ran
    told = document["explorer"]
    chosen = [sample["index"] for sample in told["samples"]]
    assert np.array_equal(unpack(told["layers"][0]["sent"])[:, 0], inputs[chosen])
    for layer in told["layers"][1:-1]:
        held = unpack(layer["held"])
        assert layer["strict"]
        assert np.array_equal(held > layer["threshold"], result.spikes[layer["name"]][chosen][:, None] != 0)
    assert np.array_equal(unpack(told["layers"][-1]["held"])[:, 0], result.logits[chosen])


def test_every_neuron_is_on_the_core_that_the_program_says(document, compiled):
    for layer in document["explorer"]["layers"][1:]:
        found = [core_of(layer, neuron) for neuron in range(layer["size"])]
        for piece in compiled.slices_of(layer["name"]):
            assert set(np.array(found)[piece.index].tolist()) == {piece.core}


def test_pieces_of_images_too():
    rng = np.random.default_rng(0)
    conv = cn.Conv2d(rng.integers(-1, 2, (3, 1, 3, 3)), input_shape=(1, 12, 12))
    readout = cn.Dense(rng.integers(-1, 2, (2, conv.n_out)), activation="readout")
    program = cn.compile(cn.DiscreteNetwork([conv, readout]), chip="loihi1", cores=6)
    x = rng.integers(0, 2, (4, 1, 12, 12)).astype(np.uint8)
    flat = x.reshape(4, -1)
    told = run_document(program.run(flat), inputs=flat, features=x)["explorer"]
    layer = told["layers"][1]
    assert any(piece.runs > 1 for piece in program.slices_of(layer["name"]))
    for piece in program.slices_of(layer["name"]):
        neurons = np.arange(layer["size"])[piece.index]
        assert {core_of(layer, int(neuron)) for neuron in neurons} == {piece.core}
    assert told["shown"] == {"kind": "events", "shape": [1, 12, 12]}


def test_a_third_are_mistakes_where_there_are_any():
    right = np.zeros(100, np.int64)
    truth = right.copy()
    truth[[3, 50, 60, 70, 80, 90]] = 1
    assert explorer._choose(right, truth, 12).tolist() == [*range(8), 50, 60, 70, 80]
    assert explorer._choose(right, right, 12).tolist() == list(range(12))
    assert explorer._choose(right, None, 12).tolist() == list(range(12))
    assert explorer._choose(right[:5], truth[:5], 12).tolist() == list(range(5))


def test_images_are_shown_as_the_data_set_has_them():
    data = cn.load_dataset("digits")
    trained = cn.train(data, layers=[8], sweeps=1)
    program = cn.compile(trained.network, chip="loihi1")
    x, y = data.x_test[:20], data.y_test[:20]
    told = run_document(program.run(x, y), labels=y, inputs=program.encode(x), features=x)["explorer"]
    chosen = [sample["index"] for sample in told["samples"]]
    shown = told["shown"]
    assert (shown["kind"], shown["shape"], shown["low"], shown["high"]) == (
        "image",
        [8, 8, 1],
        0.0,
        float(x[chosen].max()),
    )
    assert np.abs(unpack(shown["values"]) / 255 * shown["high"] - x[chosen]).max() <= shown["high"] / 500
    assert [sample["class"] for sample in told["samples"]] == [str(data.labels[c]) for c in y[chosen]]


def test_colours_come_last():
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    assert explorer._image_shape((3, 4, 5)) == [4, 5, 3]
    assert explorer._image_shape((4, 5, 3)) == [4, 5, 3]
    assert explorer._image_shape((30,)) is None
    assert explorer._channels_last(images)[1, 2, 3].tolist() == images[1, :, 2, 3].tolist()


def test_it_is_bounded(document, ran, monkeypatch):
    result, labels, inputs = ran
    whole = document["explorer"]
    monkeypatch.setattr(explorer, "LARGEST_BYTES", 2_000)
    small = explorer.explorer_document(result, inputs, inputs, labels)
    assert 4 <= len(small["samples"]) < len(whole["samples"])
    assert all(layer["held"] for layer in small["layers"][1:])
    monkeypatch.setattr(explorer, "LARGEST_BYTES", 1_000)
    small = explorer.explorer_document(result, inputs, inputs, labels)
    assert [layer["held"] is None for layer in small["layers"][1:]] == [True, False, False]
    page = report_html([("a.json", document | {"explorer": small})])
    assert "Potentials of hidden0 are left out for their size" in page
    monkeypatch.setattr(explorer, "LARGEST_BYTES", 20)
    none = explorer.explorer_document(result, inputs, inputs, labels)
    page = report_html([("a.json", document | {"explorer": none})])
    assert "No spike explorer: one sample takes" in page
    assert '<figure class="core-map">' in page


def test_where_there_is_nothing_to_step_through(ran):
    result, labels, inputs = ran
    assert explorer.explorer_document(result, inputs, None, labels) is None
    assert explorer.explorer_document(result, None, inputs, labels) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: e.update(steps=2), "decision of another number"),
        (lambda e: e["samples"].pop(), "decision of another number"),
        (lambda e: e["layers"][1].update(size=7), "sent of 'hidden0' of another shape"),
        (lambda e: e["layers"][1]["places"].append([0, 9, 3, 10**12, 1]), "places of 'hidden0'"),
        (lambda e: e["layers"][1]["sent"].update(base64="!"), "packed array"),
        (lambda e: e.update(layers=None), "not what conntra writes"),
        (lambda e: e.update(total=float("nan")), "not what conntra writes"),
    ],
)
def test_one_that_is_damaged_is_refused(document, change, says):
    damaged = copy.deepcopy(document["explorer"])
    change(damaged)
    with pytest.raises(FileFormatError, match=re.escape(says)):
        report_html([("a.json", document | {"explorer": damaged})])
