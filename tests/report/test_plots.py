"""Every picture shows the numbers of its document, with units, and says what is modelled."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

import conntra_neuro as cn
from conntra_neuro.report.documents import run_document
from conntra_neuro.report.mesh import extent, places, side
from conntra_neuro.report.plots import confusion_matrix, core_map, draw, energy_breakdown, figures, layer_rates
from conntra_neuro.report.plots import spike_raster as raster
from conntra_neuro.report.plots.style import COLOURS, KINDS, svg
from conntra_neuro.report.recorded import unpack


def words(figure):
    found = [figure.get_suptitle(), figure.get_supxlabel()]
    for axis in figure.axes:
        found += [axis.get_title(), axis.get_title("left"), axis.get_xlabel(), axis.get_ylabel()]
        found += [text.get_text() for text in axis.texts]
    return "\n".join(found)


def test_all_pictures_are_drawn_and_written(document, tmp_path):
    paths = draw(document, tmp_path)
    assert [path.stem for path in paths] == ["core-map", "energy", "layer-rates", "spike-raster", "confusion"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_the_same_document_gives_the_same_bytes(document):
    assert svg(energy_breakdown(document)) == svg(energy_breakdown(document))


def test_what_there_is_no_data_for_is_left_out(document):
    assert list(figures(document | {"confusion": None, "recorded": None})) == ["core-map", "energy"]


def test_core_map_has_a_square_for_every_core(document):
    figure = core_map(document)
    squares = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(squares) == 128
    used = [square for square in squares if square.get_facecolor() != squares[-1].get_facecolor()]
    assert len(used) == len(document["cores"]) > 3
    assert "% of its limit" in words(figure)
    assert f"{len(used)} of 128 cores in use" in words(figure)


@pytest.mark.parametrize("chip", ["loihi1x2", "loihi1x3", "loihi2"])
def test_cores_of_several_chips_stand_where_the_chip_says(chip):
    loaded = cn.load_chip(chip)
    names = ("name", "chips", "chips_x", "cores", "cores_per_tile", "tiles_x", "tiles_y")
    mesh = {name: getattr(loaded, name) for name in names}
    found, (across, down), (columns, rows) = places(mesh), side(mesh), extent(mesh)
    assert len(set(found.values())) == loaded.total_cores
    for core, (x, y) in found.items():
        assert (x // across, y // down) == loaded.tile(core)
        assert 0 <= x < columns
        assert 0 <= y < rows


def test_energy_bars_add_up_to_the_estimate(document):
    figure = energy_breakdown(document)
    sets, layers, cores = figure.axes
    n = document["samples"]
    for index, estimate in enumerate(document["energy"]):
        widths = [p.get_width() for p in sets.patches if round(p.get_y() + p.get_height() / 2) == index]
        assert sum(widths) == pytest.approx(estimate["dynamic_j"] / n * 1e6)
    last = document["energy"][-1]
    assert sum(p.get_width() for p in layers.patches) == pytest.approx(last["dynamic_j"] / n * 1e6)
    heights = sum(p.get_height() for p in cores.patches)
    entering = sum(last["by_layer"]["input"].values())
    assert heights == pytest.approx((last["dynamic_j"] - entering) / n * 1e9)
    for needed in ("modelled, not measured", "µJ a sample", "Leakage is not in the bars"):
        assert needed in words(figure)


def test_raster_has_a_mark_for_every_spike(document, ran):
    result, _, inputs = ran
    figure = raster(document)
    spikes = {"input": inputs, **result.spikes}
    for axis, (name, fired) in zip(figure.axes, spikes.items(), strict=False):
        (marks,) = (c for c in axis.collections if isinstance(c, LineCollection))
        centres = {(round(np.mean(s[:, 0])), round(s[0, 1])) for s in marks.get_segments()}
        depth = result.program.depths[name]
        assert centres == {(row + depth, neuron) for row, neuron in np.argwhere(fired[:60])}
    (dots,) = (line for axis in figure.axes for line in axis.lines)
    assert np.array_equal(dots.get_ydata(), result.predictions[:60])
    assert np.array_equal(dots.get_xdata(), np.arange(60) + 3)
    assert "time step" in words(figure)


def test_rates_are_those_of_the_neurons(document, ran):
    result, _, _ = ran
    figure = layer_rates(document)
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths[1:] == pytest.approx([100 * spikes.mean() for spikes in result.spikes.values()])
    assert "% of time steps" in words(figure)


def test_confusion_numbers_are_the_counts(document):
    figure = confusion_matrix(document)
    shown = {(t.get_position()[1], t.get_position()[0]): int(t.get_text()) for t in figure.axes[0].texts}
    counts = np.array(document["confusion"]["counts"])
    assert shown == {tuple(at): counts[tuple(at)] for at in np.argwhere(counts)}
    assert "right of 90 samples (made up, test)" in words(figure)


def test_a_network_of_one_layer_and_one_that_takes_steps():
    rng = np.random.default_rng(0)
    only = cn.Dense(rng.integers(-1, 2, (3, 8)), activation="readout")
    result = cn.compile(cn.DiscreteNetwork([only])).run(rng.integers(0, 2, (5, 8)))
    assert list(figures(run_document(result))) == ["core-map", "energy"]
    inputs = rng.integers(0, 2, (5, 8)).astype(np.uint8)
    assert set(figures(run_document(result, inputs=inputs))) >= {"spike-raster", "layer-rates"}


def test_colours_are_apart_and_kinds_have_one_each():
    assert len(set(COLOURS)) == len(COLOURS) == 7
    assert len(set(KINDS.values())) == len(KINDS)
    # Okabe and Ito's: also apart in lightness, for a print in grey.
    grey = sorted(0.299 * int(c[1:3], 16) + 0.587 * int(c[3:5], 16) + 0.114 * int(c[5:], 16) for c in KINDS.values())
    assert min(np.diff(grey)) > 3


def test_packed_arrays_are_read_back(document):
    layer = document["recorded"]["layers"][0]
    assert unpack(layer["raster"]).shape == (60, 40)
