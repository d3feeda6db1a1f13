"""Membrane traces: what neurons with state hold, from the spikes that a backend recorded."""

import numpy as np
import over_time
import pytest

import conntra_neuro as cn
from conntra_neuro.report.documents import run_document
from conntra_neuro.report.html import report_html
from conntra_neuro.report.plots import figures, membrane_traces
from conntra_neuro.report.recorded import unpack


@pytest.fixture(scope="module")
def by_hand():
    """One neuron without leak, threshold 2, that gets 1 at each step but the fourth; two samples of 5 steps."""
    layers = [
        cn.Dense([[1]], activation=cn.Lif(2, voltage_decay=0)),
        cn.Dense([[3], [-1]], activation=cn.Readout("last", voltage_decay=0)),
    ]
    program = cn.compile(cn.DiscreteNetwork(layers, steps=5), chip="loihi1")
    inputs = np.array([[1, 1, 1, 0, 1], [0, 0, 1, 0, 0]], np.uint8).reshape(10, 1)
    return run_document(program.run(inputs), inputs=inputs)


def test_potentials_are_those_before_a_spike(by_hand):
    hidden, readout = by_hand["traces"]["layers"]
    assert (hidden["name"], hidden["neurons"], hidden["unit"], hidden["thresholds"]) == ("hidden0", [0], 64, [2])
    assert (unpack(hidden["potentials"]).ravel() / 64).tolist() == [1, 2, 3, 0, 1, 0, 0, 1, 1, 1]
    assert unpack(hidden["sent"]).ravel().tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert (readout["sent"], readout["thresholds"]) == (None, None)
    assert (unpack(readout["potentials"]) / 64).tolist() == [[0, 0]] * 2 + [[3, -1]] * 3 + [[0, 0]] * 5


def test_the_picture_shows_them(by_hand):
    figure = membrane_traces(by_hand)
    hidden, readout = figure.axes
    first, second, dots, threshold, _ = hidden.lines
    assert first.get_ydata().tolist() == [1, 2, 3, 0, 1]
    assert (second.get_xdata().tolist(), second.get_ydata().tolist()) == ([5, 6, 7, 8, 9], [0, 0, 1, 1, 1])
    assert (dots.get_xdata().tolist(), dots.get_ydata().tolist()) == ([2], [3])
    assert list(threshold.get_ydata()) == [2, 2]
    assert hidden.get_ylabel() == "hidden0 (lif)\nweight units"
    assert len(readout.lines) == 2 * 2 + 1  # two classes, two samples, a border
    assert "the first 2 of 2 samples on reference" in figure.get_suptitle()


def test_they_follow_from_delays_and_ways_back():
    """A neuron that is not refractory spikes where its trace is above its threshold, on networks that live in time."""
    checked = 0
    for seed in range(16):
        network, spikes = over_time.random_network(seed)
        result = cn.compile(network, chip="loihi1").run(spikes)
        document = run_document(result, inputs=spikes.reshape(-1, network.n_in))
        assert (document["traces"] is None) == (network.steps == 1)
        for layer in document["traces"]["layers"] if document["traces"] else []:
            facts = result.program.population(layer["name"]).neuron.facts
            if layer["thresholds"] is None or facts.refractory != 0:
                continue
            v, thresholds = unpack(layer["potentials"]), np.array(layer["thresholds"]) * layer["unit"]
            recorded = result.spikes[layer["name"]][: len(v), layer["neurons"]]
            assert np.array_equal(unpack(layer["sent"]), recorded)
            assert np.array_equal(recorded != 0, v > thresholds if facts.strict else v >= thresholds)
            checked += 1
    assert checked > 4


def test_where_there_is_nothing_to_show(document):
    assert document["traces"] is None  # one time step
    assert "membrane-traces" not in figures(document)


def test_reports_have_the_picture(by_hand):
    assert '<figure class="membrane-traces">' in report_html([("a.json", by_hand | {"kind": "run"})])
