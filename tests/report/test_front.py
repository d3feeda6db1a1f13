"""The plot of ``conntra pareto``: every network that fits is a mark, those on the front are filled."""

from matplotlib.figure import Figure

from conntra_neuro.report import front
from conntra_neuro.search.pareto import Point


def point(layers, error, energy_j):
    cores = None if energy_j is None else 1
    return Point(layers, "ternary", 0.0, error, error, energy_j, energy_j, cores, 1.0, f"{layers}-{error}")


def test_marks_and_the_line(tmp_path, monkeypatch):
    points = [point("32", 0.08, 40e-9), point("64", 0.05, 80e-9), point("64", 0.09, 90e-9), point("9999", 0.01, None)]
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **options: drawn.append(self))
    front.front_plot(points, points[:2], tmp_path / "front.png")
    (axis,) = drawn[0].axes
    line, *marks = axis.lines
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [(40.0, 8.0), (80.0, 5.0)]
    shown = [mark for mark in marks if len(mark.get_xdata())]
    assert [(*mark.get_xdata(), *mark.get_ydata()) for mark in shown] == [(40.0, 8.0), (80.0, 5.0), (90.0, 9.0)]
    assert [mark.get_markerfacecolor() == "white" for mark in shown] == [False, False, True]
    assert "nJ (dynamic, modelled" in axis.get_xlabel()
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "32, ternary",
        "64, ternary",
        "9999, ternary",
    ]


def test_where_nothing_fits(tmp_path):
    front.front_plot([point("32", 0.1, None)], [], tmp_path / "front.svg")
    assert (tmp_path / "front.svg").read_text().startswith("<?xml")
