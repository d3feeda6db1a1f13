"""The report: self-contained, escaped, with the source of every figure, and refused without one."""

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from conntra_hardware.base.errors import FileFormatError
from conntra_neuro.cli.verb_result import to_json
from conntra_neuro.report.html import report_html
from conntra_neuro.report.result_file import kind_of, read_result


class Parts(HTMLParser):
    """Checks that what is opened is closed, in order; keeps addresses, handlers, styles, ids and scripts."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.sources, self.inline, self.ids, self.scripts, self.meta = [], [], [], [], [], {}
        self.style, self.words = "", []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action")]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "meta":
            self.meta[named.get("http-equiv") or named.get("name")] = named.get("content")
        if tag == "script":
            self.scripts.append([named.get("type"), ""])
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts[-1][1] += data
        elif self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)


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
    parts = Parts(page)
    assert parts.sources == []
    assert parts.inline == []  # the policy would forbid them
    assert len(parts.ids) == len(set(parts.ids))
    assert [kind for kind, _ in parts.scripts] == ["application/json", None]
    assert not re.search(r"url\(|@import|https?:", parts.style)
    assert not re.search(
        r"fetch\(|XMLHttpRequest|WebSocket|import\(|innerHTML|eval\(|https?:(?!//www.w3.org/2000/svg)",
        parts.scripts[1][1],
    )
    for name in ("core-map", "energy", "layer-rates", "spike-raster", "confusion"):
        assert f'<figure class="{name}">' in page


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(page):
    parts = Parts(page)
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (parts.style, parts.scripts[1][1])
    ]
    assert parts.meta["Content-Security-Policy"].split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes[0]}'",
        f"script-src 'sha256-{hashes[1]}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_verdict_comes_first(page, result):
    words = " ".join(" ".join(Parts(page).words).split())
    verdict = words.partition("Verdict")[2].partition("Spikes, step by step")[0]
    energies = sorted(e["per_inference_j"] for e in result["energy"])
    assert f"{100 * result['accuracy']:.2f} %" in verdict
    assert f"Simulators equal reference, loop: each of {9 * 50} spikes and {9 * 4} potentials" in verdict
    assert f"{len(result['cores'])} of 128 cores of loihi1" in verdict
    assert f"2 coefficient sets, a factor of {energies[1] / energies[0]:.2f} apart" in verdict
    assert "Latency" in verdict


def test_what_is_not_equal_or_not_compared_is_said_first(result, certificate):
    def verdict(*documents):
        words = report_html(documents).partition("Verdict")[2].partition("<section")[0]
        return words.replace("&nbsp;", " ")

    assert "not compared" in verdict(("a.json", result))
    other = certificate | {"program_sha256": "another"}
    assert verdict(("a.json", result), ("c.json", other)).count('class="cards"') == 2
    first = {"backend": "loop", "layer": "hidden0", "neuron": 3, "sample": 1, "expected": 1, "got": 0}
    wrong = certificate | {"equal": False, "first_divergence": first}
    told = verdict(("a.json", result), ("c.json", wrong))
    assert '<div class="card bad">' in told
    assert "NOT" in told
    assert "loop, layer hidden0, neuron 3, sample 1: 1 expected, got 0" in told


def test_runs_with_the_same_spikes_have_one_explorer(result):
    page = report_html([("a.json", result), ("b.json", result | {"backend": "loop"})])
    assert [kind for kind, _ in Parts(page).scripts] == ["application/json", None]
    assert "the same as in a.json, spike for spike" in page


def test_colours_of_words_are_told_from_what_they_stand_on():
    """WCAG 2.1's contrast of at least 4.5, in the light and in the dark."""
    style = Parts(report_html([])).style
    light, dark = re.findall(r":root \{(.*?--bg.*?)\}", style, re.DOTALL)
    pairs = [(word, under) for word in ("fg", "soft", "accent", "good", "bad") for under in ("bg", "card")]
    pairs += [("fg", under) for under in ("right", "wrong1", "wrong2", "wrong3")] + [("mark-fg", "mark-bg")]
    for text in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", text))
        for word, under in pairs:
            assert contrast(colours[word], colours[under]) >= 4.5, (word, under)


def contrast(one, other):
    dim, bright = sorted(map(luminance, (one, other)))
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
    measured = told.partition("Measured on a board")[2].partition("<details")[0]
    for words in ("210 mW", "40.0 µs", "a board", "syn_ops 1,234"):
        assert words in measured
    assert "modelled" not in measured


def test_names_from_outside_are_escaped(result):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!--"
    result["program"] = result["data"] = result["versions"][evil] = evil
    for part in (result["explorer"], result["recorded"]):
        part["layers"][0]["name"] = evil
    result["explorer"]["classes"][0] = result["explorer"]["samples"][0]["class"] = evil
    result["confusion"]["labels"][0] = result["mesh"]["name"] = evil
    result["cores"][0]["populations"] = [evil]
    for estimate in result["energy"]:
        estimate["by_layer"][evil] = estimate["by_layer"].pop("input")
    page = report_html([(evil, result)], title=evil)
    parts = Parts(page)
    assert len(parts.scripts) == 2
    assert parts.sources == parts.inline == []
    assert "&lt;img" in page
    assert json.loads(parts.scripts[0][1])["classes"][0] == evil


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
