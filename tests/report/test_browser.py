"""The report in a real browser, Chromium without a window: no complaint, no request, keys, contrast, paper."""

import json
import os
import re

import numpy as np
import pytest
from browser import Browser, found

import conntra_neuro as cn
from conntra_neuro.cli.verb_result import to_json
from conntra_neuro.report.documents import run_document
from conntra_neuro.report.html import report_html
from conntra_neuro.report.recorded import unpack

pytestmark = pytest.mark.skipif(
    found() is None or not hasattr(os, "fork"), reason="no Chromium or Chrome on the PATH (Debian: chromium)"
)

CONTRAST = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (top, under) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((i) => top[i] * alpha + under[i] * (1 - alpha));
  };
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const bright = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const under = (element) => {
    const chain = [];
    for (let at = element; at; at = at.parentElement) chain.unshift(parse(getComputedStyle(at).backgroundColor));
    return chain.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const poor = [];
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, svg, option")) continue;
    if (!element.checkVisibility()) continue;
    seen += 1;
    const below = under(element);
    const [one, other] = [bright(over(parse(getComputedStyle(element).color), below)), bright(below)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.push([walker.currentNode.data.trim().slice(0, 40), ratio]);
  }
  return { seen, poor };
})()"""


@pytest.fixture(scope="module")
def over_steps():
    """A network over time on four cores, its run's document with events as samples."""
    rng = np.random.default_rng(3)
    layers = [
        cn.Dense(rng.integers(-1, 2, (24, 32)), activation=cn.Lif(2, voltage_decay=512)),
        cn.Dense(rng.integers(-1, 2, (3, 24)), activation="readout"),
    ]
    program = cn.compile(cn.DiscreteNetwork(layers, steps=6), chip="loihi1", cores=3)
    events = (rng.random((5, 6, 2, 4, 4)) < 0.3).astype(np.uint8)
    spikes = events.reshape(5, 6, 32)
    result = program.run(spikes, [0, 1, 2, 0, 1])
    document = run_document(
        result,
        labels=[0, 1, 2, 0, 1],
        inputs=spikes.reshape(30, 32),
        features=events,
        binning={"recipe": {"step_us": 5000}},
    )
    return program, json.loads(to_json(document))


@pytest.fixture(scope="module")
def page(over_steps, document, compiled, ran, tmp_path_factory):
    """The address of a report of two runs and a certificate."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    certificate = compiled.verify(ran[2][:3], backends=["reference", "loop"]).to_dict()
    documents = [("t.json", over_steps[1]), ("a.json", json.loads(to_json(document))), ("c.json", certificate)]
    file.write_text(report_html(documents), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(found(), str(tmp_path_factory.mktemp("profile")))
    yield started
    started.close()


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_complains_nothing_is_fetched_and_words_can_be_read(browser, page, width, dark):
    browser.open(page, width, dark)
    assert browser.messages == []
    assert browser.requests == [page]
    assert browser.value("document.querySelectorAll('.app:not([hidden])').length") == 2
    assert browser.value("document.documentElement.scrollWidth") == width
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") != dark
    found = browser.value(CONTRAST)
    assert found["poor"] == []
    assert found["seen"] > 300


def now(browser):
    return browser.value("document.querySelector('.app .now').textContent")


def told(browser):
    return browser.value("document.querySelector('.app [aria-live]:not(.now)').textContent")


def test_keys_go_through_time_samples_and_neurons(browser, page, over_steps):
    program, document = over_steps
    browser.open(page)
    for _ in range(30):
        browser.press("Tab")
        if browser.value("document.activeElement.className") == "app":
            break
    assert browser.value("document.activeElement.className") == "app"
    assert now(browser).startswith("Sample 0, class 0, step 1 of 6 (5 ms)")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowDown", "ArrowUp"):
        browser.press(key)
    logits = unpack(document["explorer"]["decision"])[1, 2]
    assert now(browser).startswith(f"Sample 1, class 1, step 3 of 6 (15 ms): so far {logits.argmax()}")
    numbers = "[...document.querySelectorAll('#run0 .decision li span:last-child')].map((e) => Number(e.textContent))"
    assert browser.value(numbers) == logits.tolist()
    browser.value("document.querySelectorAll('.app canvas[tabindex]')[1].focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        browser.press(key)
    match = re.match(
        r"hidden0, neuron (\d+), on core (\d+); potential (-?[\d.]+); spikes above 2; (no spike|spikes) now",
        told(browser),
    )
    neuron, core, potential = int(match[1]), int(match[2]), float(match[3])
    assert neuron > 1
    layer = document["explorer"]["layers"][1]
    assert potential == pytest.approx(unpack(layer["held"])[1, 2, neuron] / 64, abs=0.006)
    assert (match[4] == "spikes") == bool(unpack(layer["sent"])[1, 2, neuron])
    piece = next(s for s in program.slices_of("hidden0") if s.start <= neuron < s.stop)
    assert core == piece.core
    chosen = "[...document.querySelectorAll('#run0 rect.chosen')].map((e) => e.dataset.core)"
    assert browser.value(chosen) == [str(core)]
    assert browser.messages == []


def test_a_click_finds_a_neuron_and_a_core(browser, page, over_steps):
    program, _ = over_steps
    browser.open(page)
    place = "(() => { const c = document.querySelectorAll('.app canvas[tabindex]')[1]; c.scrollIntoView();"
    box = browser.value(
        f"{place} const b = c.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"
    )
    columns = 10  # of 24 neurons, about four times as wide as high
    browser.click(box[0] + box[2] * 2.5 / columns, box[1] + box[3] * 1.5 / 3)
    assert told(browser).startswith("hidden0, neuron 12, on core ")
    last = max(piece.core for piece in program.slices_of("hidden0"))
    spot = browser.value(
        f"(() => {{ const s = document.querySelector('#run0 rect[data-core=\"{last}\"]'); s.scrollIntoView();"
        "const b = s.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()"
    )
    browser.click(*spot)
    first = next(piece.start for piece in program.slices_of("hidden0") if piece.core == last)
    assert told(browser).startswith(f"hidden0, neuron {first}, on core {last}")


def test_the_policy_holds(browser, page):
    browser.open(page)
    browser.value(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
        "document.body.append(s); const i = new Image(); i.src = 'http://localhost:1/x.png'; })()"
    )
    assert browser.value("window.hacked === undefined")
    assert any("Content Security Policy" in message for message in browser.messages)


def test_names_that_are_scripts_stay_words(browser, over_steps, tmp_path):
    evil = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    document = json.loads(json.dumps(over_steps[1]))
    document["program"] = evil
    document["explorer"]["classes"] = [evil] * 3
    document["explorer"]["layers"][1]["name"] = document["explorer"]["samples"][0]["class"] = evil
    file = tmp_path / "evil.html"
    file.write_text(report_html([(evil, document)], title=evil), encoding="utf-8")
    browser.open(file.as_uri())
    assert browser.messages == []
    assert browser.value("window.hacked === undefined && document.images.length === 0")
    assert browser.value("document.title") == evil
    assert evil in now(browser)


def test_without_scripts_and_on_paper_all_but_the_explorer_is_there(browser, page):
    for media, scripts in (("", False), ("print", True)):
        browser.open(page, media=media, scripts=scripts)
        shown = (
            "(selector) => [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect().height > 0)"
        )
        assert browser.value(f"({shown})('.app')") == [False, False]
        for part in (".cards", ".cores", ".raster", ".trace", ".confusion", "table"):
            assert browser.value(f"({shown})('{part}').includes(true)"), part
    assert browser.value(f"({shown})('details table').every(Boolean)")  # on paper nothing is folded
    assert browser.paper().startswith(b"%PDF")
