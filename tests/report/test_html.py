"""The report: self-contained, escaped, with the source of every figure, and refused without one."""

import base64
import copy
import json
import re
from html.parser import HTMLParser

import pytest

from conntra_hardware.base.errors import FileFormatError
from conntra_neuro.cli.verb_result import to_json
from conntra_neuro.report.html import report_html
from conntra_neuro.report.result_file import kind_of, read_result


class Balanced(HTMLParser):
    """Checks that what is opened is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.sources = []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="session")
def certificate(compiled, ran):
    return compiled.verify(ran[2][:9], backends=["reference", "loop"]).to_dict()


@pytest.fixture(scope="session")
def page(document, certificate):
    """Drawn once: pictures take most of the time."""
    return report_html([("a.json", json.loads(to_json(document))), ("c.json", certificate)])


@pytest.fixture
def result(document):
    return json.loads(to_json(document))


def test_it_is_one_file_and_well_formed(page):
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.sources) == 5
    assert all(source.startswith("data:image/svg+xml;base64,") for source in parser.sources)
    for source in parser.sources:
        assert b"<svg" in base64.b64decode(source.partition(",")[2])
    assert "<script" not in page
    assert not re.search(r"url\(|@import", page)


def test_it_says_what_was_found_and_where_figures_come_from(page, result):
    for words in ("modelled, not measured", "davies2018", "sanafe2025", "95th percentile", "Horowitz", "second hand"):
        assert words in page
    for entry in result["coefficients"]["sanafe2025"]["entries"].values():
        assert f"{entry['value']:g} {entry['unit']}" in page
    assert result["program_sha256"] in page
    assert "reference, loop are equal" in page
    assert "numpy" in page


def test_what_a_board_measured_has_a_heading_of_its_own(page, result):
    assert "Measured on a board" not in page
    result["measured"] |= {"power_w": 0.21, "step_time_s": 4e-5, "host": "a board", "activity": {"syn_ops": 1234}}
    told = report_html([("a.json", result)])
    measured = told.partition("Measured on a board")[2].partition("<h3>")[0]
    for words in ("210 mW", "40.0 µs", "a board", "syn_ops 1,234"):
        assert words in measured
    assert "modelled" not in measured


def test_names_from_outside_are_escaped(result):
    evil = "<img src=x onerror=alert(1)>"
    result["program"] = result["data"] = result["versions"][evil] = evil
    page = report_html([(evil, result)], title=evil)
    assert evil not in page
    assert "&lt;img" in page


def test_files_are_read_back(result, certificate, tmp_path):
    for document, kind in ((result, "run"), (certificate, "certificate")):
        (tmp_path / "r.json").write_text(json.dumps(document))
        assert kind_of(read_result(tmp_path / "r.json")) == kind


def without_source(document):
    document["coefficients"]["sanafe2025"]["entries"]["energy.spike"]["source"] = ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_source, "energy sanafe2025: no source for energy.spike; a figure without one is not shown"),
        (lambda d: d.pop("coefficients"), "energy davies2018: no source for all entries"),
        (lambda d: d["energy"][0].pop("provenance"), "energy davies2018: no provenance"),
        (lambda d: d["energy"][1].update(modelled=False), "energy sanafe2025: no modelled"),
        (lambda d: d.pop("counts"), "counts missing; give files that `conntra run --out`"),
    ],
)
def test_a_figure_without_a_source_is_refused(result, change, says, tmp_path):
    changed = copy.deepcopy(result)
    change(changed)
    (tmp_path / "r.json").write_text(json.dumps(changed))
    with pytest.raises(FileFormatError, match=re.escape(says)):
        read_result(tmp_path / "r.json")


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_what_is_no_result(text, tmp_path):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(FileFormatError, match="conntra run --out"):
        read_result(tmp_path / "r.json")
