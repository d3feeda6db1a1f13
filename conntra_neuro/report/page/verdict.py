"""The verdict: what one wants to know of each program first, as a few cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from conntra_neuro.report.energy import MODELLED
from conntra_neuro.report.page.proof import divergence, overflow
from conntra_neuro.report.result_file import kind_of
from conntra_neuro.report.units import count, percent, right_of, si

__all__ = ["verdict_html"]

Document = Mapping[str, Any]
_RESOURCES = {"fan_in_axons": "input axons", "fan_out_axons": "output axons", "memory_bits": "synapse memory"}


def verdict_html(documents: Sequence[tuple[str, Document]]) -> str:
    """Return a row of cards for each program that the documents are about, in their order; and one for fuzzing."""
    groups: dict[str, list[tuple[str, Document]]] = {}
    for name, document in documents:
        if kind_of(document) != "fuzz":
            groups.setdefault(document.get("program_sha256", name), []).append((name, document))
    parts = [_group(group) for group in groups.values()]
    parts += [_random(document) for _, document in documents if kind_of(document) == "fuzz"]
    return f'<section class="verdict"><h2>Verdict</h2>{"".join(parts)}</section>'


def _group(group: Sequence[tuple[str, Document]]) -> str:
    runs = [d for _, d in group if kind_of(d) == "run"]
    proofs = [d for _, d in group if kind_of(d) == "certificate"]
    first = runs[0] if runs else proofs[0]
    name = str(first.get("program", group[0][0]))
    cards = [_accuracy(runs), _equal(proofs)] if runs else [_equal(proofs)]
    if runs:
        cards += [_fits(runs[0]), _energy(runs[0]), _latency(runs[0])]
    return f'<h3>{escape(name)}, for {escape(first["chip"])}</h3><div class="cards">{"".join(cards)}</div>'


def _card(title: str, value: str, words: str, state: str = "") -> str:
    kind = f" {state}" if state else ""
    shown = "&nbsp;".join(escape(value).rsplit(" ", 1))  # a number and its unit stay on one line
    return (
        f'<div class="card{kind}"><p class="what">{escape(title)}</p><p class="value">{shown}</p>'
        f'<p class="words">{escape(words)}</p></div>'
    )


def _accuracy(runs: Sequence[Document]) -> str:
    found = dict.fromkeys(right_of(run)[1] for run in runs)
    where = ", ".join(dict.fromkeys(run["backend"] for run in runs))
    first = runs[0]
    data = f", {first['data']}, {first['split']}" if "data" in first else ""
    return _card(
        right_of(first)[0].capitalize(), " / ".join(found), f"of {count(first['samples'])} samples{data}; on {where}"
    )


def _equal(proofs: Sequence[Document]) -> str:
    title = "Simulators"
    if not proofs:
        return _card(title, "not compared", "conntra verify compares them, spike for spike")
    wrong = [proof for proof in proofs if not proof["equal"]]
    if wrong:
        return _card(title, "NOT equal", divergence(wrong[0]), "bad")
    names = ", ".join(dict.fromkeys(name for proof in proofs for name in proof["backends"]))
    spikes = sum(proof["compared"]["spikes"] for proof in proofs)
    potentials = sum(proof["compared"]["potentials"] for proof in proofs)
    words = f"{names}: each of {count(spikes)} spikes and {count(potentials)} potentials"
    broken = [proof["overflow"] for proof in proofs if not all(entry["holds"] for entry in proof["overflow"])]
    proven = f"overflow {overflow(broken[0])}" if broken else "overflow impossible, whatever the input"
    return _card(title, "equal", f"{words}; {proven}", "good")


def _fits(run: Document) -> str:
    cores, mesh = run.get("cores"), run.get("mesh")
    if not cores or not mesh:
        return _card("On the chip", "fits", f"compiled for {run['chip']}", "good")
    total = mesh["cores"] * mesh["chips"]
    fullest = max(cores, key=lambda core: core["utilization"])
    shares = {name: fullest[name] / limit for name, limit in fullest["limits"].items() if limit and name in fullest}
    most = max(shares, key=lambda name: shares[name], default="")
    full = f"; fullest: core {fullest['core']}, {percent(fullest['utilization'], 0)}"
    full += f" of its {_RESOURCES.get(most, most.replace('_', ' '))}" if most else ""
    return _card("On the chip", "fits", f"{count(len(cores))} of {count(total)} cores of {run['chip']}{full}", "good")


def _energy(run: Document) -> str:
    estimates, spread = run["energy"], run.get("energy_spread")
    if not estimates:
        return _card("Energy a sample", "not known", f"no coefficients for {run['chip']}")
    values = [estimate["per_inference_j"] for estimate in estimates]
    words = f"dynamic, {MODELLED}; "
    if spread and spread["ratio"]:
        words += f"{len(estimates)} coefficient sets, a factor of {spread['ratio']:.2f} apart"
    else:
        words += f"one coefficient set, {estimates[0]['coefficients']}: its spread is not known"
    return _card("Energy a sample", _range(values, "J"), words)


def _latency(run: Document) -> str:
    values = [estimate["latency_s"] for estimate in run["energy"] if estimate.get("latency_s") is not None]
    if not values:
        return _card("Latency", "not known", f"no coefficients for {run['chip']}")
    return _card("Latency", _range(values, "s"), f"of a sample, from its first input to its logits; {MODELLED}")


def _range(values: Sequence[float], unit: str) -> str:
    low, high = si(min(values), unit), si(max(values), unit)
    if low == high:
        return low
    number, _, prefixed = low.partition(" ")
    return f"{number if high.endswith(f' {prefixed}') else low} to {high}"


def _random(document: Document) -> str:
    words = f"{', '.join(document['backends'])}: {count(document['programs'])} random programs, seed {document['seed']}"
    value, state = ("all equal", "good") if document["equal"] else ("NOT equal", "bad")
    return f'<h3>Random programs</h3><div class="cards">{_card("Simulators", value, words, state)}</div>'
