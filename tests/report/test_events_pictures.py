"""Pictures of events and of decisions over time show the numbers of the run."""

import json

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_neuro.report.documents import run_document
from conntra_neuro.report.plots import decision_course, decision_stream, event_frames, figures
from conntra_neuro.report.plots.events import time_surface


@pytest.fixture(scope="module")
def over_steps():
    """Five samples of events, two polarities of 3 x 4 pixels over 6 steps, and a run on them."""
    rng = np.random.default_rng(3)
    layers = [
        cn.Dense(rng.integers(-1, 2, (24, 24)), activation=cn.Lif(2, voltage_decay=512)),
        cn.Dense(rng.integers(-1, 2, (3, 24)), activation="readout"),
    ]
    program = cn.compile(cn.DiscreteNetwork(layers, steps=6, labels=["a", "b", "c"]), chip="loihi1")
    events = (rng.random((5, 6, 2, 3, 4)) < 0.3).astype(np.uint8)
    spikes, labels = events.reshape(5, 6, 24), np.array([0, 1, 2, 0, 1])
    result = program.run(spikes, labels)
    made = {"labels": labels, "inputs": spikes.reshape(30, 24), "features": events}
    return program, events, result, run_document(result, **made, binning={"recipe": {"step_us": 5000}})


def test_frames_are_the_events_added_up(over_steps):
    _, events, _, document = over_steps
    figure = event_frames(document)
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    for sample in range(4):
        added, surface = images[2 * sample], images[2 * sample + 1]
        for y, x in np.ndindex(3, 4):
            assert added[y, x] == sum(int(on) - int(off) for off, on in events[sample, :, :, y, x])
            steps = [step for step in range(6) if events[sample, step, :, y, x].any()]
            assert surface[y, x] == pytest.approx(np.exp(-(5 - steps[-1]) / 1.5) if steps else 0)


def test_a_surface_is_1_now_and_fades():
    fired = np.zeros((8, 3), bool)
    fired[7, 0] = fired[3, 1] = fired[0, 1] = True
    assert time_surface(fired).tolist() == pytest.approx([1, np.exp(-2), 0])


def test_the_raster_has_a_mark_an_event_in_milliseconds(over_steps):
    _, events, _, document = over_steps
    axis = next(axis for axis in event_frames(document).axes if axis.get_ylabel() == "pixel")
    darker, brighter = axis.lines
    for line, channel in ((darker, 0), (brighter, 1)):
        expected = {((step + 0.5) * 5, 4 * y + x) for step, y, x in np.argwhere(events[0, :, channel])}
        assert set(zip(line.get_xdata().tolist(), line.get_ydata().tolist(), strict=True)) == expected
    assert axis.get_xlabel() == "ms"


def test_the_course_ends_with_the_logits(over_steps):
    _, _, result, document = over_steps
    figure = decision_course(document)
    for sample, axis in enumerate(figure.axes):
        assert {line.get_label(): line.get_ydata()[-1] for line in axis.lines} == dict(
            zip("abc", result.logits[sample].tolist(), strict=True)
        )
        assert axis.lines[0].get_xdata().tolist() == [5, 10, 15, 20, 25, 30]
        assert f"decided {'abc'[result.predictions[sample]]}" in axis.get_title("left")


def test_what_is_no_plane_of_events_or_takes_one_step_has_no_such_picture(document, over_steps):
    assert {"events", "decision"} <= set(figures(over_steps[3]))
    assert event_frames(document) is None
    assert not {"events", "decision"} & set(figures(document))
    flat = over_steps[3]["explorer"] | {"shown": None}
    assert event_frames(over_steps[3] | {"explorer": flat}) is None


def test_many_classes_have_colours_for_those_that_come_highest(over_steps):
    rng = np.random.default_rng(0)
    document = json.loads(json.dumps({"time_s": [0.1, 0.2], "index": [3, 3], "events": [5, 9]}))
    document |= {"logits": rng.integers(0, 9, (2, 30)).tolist(), "labels": [f"c{i}" for i in range(30)]}
    figure = decision_stream(document | {"dropped_steps": 4, "events_before": 2})
    top, middle, bottom = figure.axes
    assert len(top.lines) == 30
    assert len(top.get_legend().get_texts()) == 7
    assert middle.get_yticklabels()[0].get_text() == "c3"
    assert bottom.lines[0].get_ydata().tolist() == [3, 4]
    assert "without the first 4" in figure.get_suptitle()
