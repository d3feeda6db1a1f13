"""``conntra report``: one self-contained HTML file from the JSON files of runs and certificates.

Everything is in the file: styles, tables, pictures as SVG. It asks the network for nothing and runs no script.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from conntra_hardware.base.errors import MALFORMED, FileFormatError, in_short
from conntra_neuro.report.energy import BASELINES, MODELLED
from conntra_neuro.report.pages import Table, definition_list, details, table_html
from conntra_neuro.report.result_file import kind_of
from conntra_neuro.report.units import count, percent, seconds, si, squared

__all__ = ["report_html"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; border-top: 1px solid #ccc; margin-top: 2.5rem; padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; } .note { color: #555; font-size: .87rem; }
.modelled { background: #fff4d6; padding: 0 .3em; } .no { color: #9c2a00; font-weight: 600; }
table { border-collapse: collapse; margin: .4rem 0 .8rem; } th, td { padding: .15rem .8rem .15rem 0; text-align: left; }
th { border-bottom: 1px solid #888; font-weight: 600; vertical-align: bottom; } td { vertical-align: top; }
td.n { white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } tr.part td:first-child { padding-left: 1em; }
dl { display: grid; grid-template-columns: max-content auto; gap: .1rem 1rem; } dt { color: #555; } dd { margin: 0; }
dd { overflow-wrap: anywhere; } figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
summary { cursor: pointer; color: #0050a0; } @media print { details { display: block; } }
"""
_CAPTIONS = {
    "core-map": "Where the network stands on the chip, and how full each core is.",
    "energy": f"Dynamic energy of a sample: {MODELLED}.",
    "layer-rates": "How often neurons fire.",
    "spike-raster": "Every spike of the first samples, and the readout's potentials.",
    "membrane-traces": "Potentials of the busiest neurons with state, step by step, and where they spike.",
    "confusion": "Classes (rows) and what they were taken for (columns).",
}


def report_html(documents: Sequence[tuple[str, Mapping[str, Any]]], title: str = "conntra report") -> str:
    """Return the page about ``documents``, pairs of a file's name and what ``read_result`` read from it.

    FileFormatError where one of them holds something else than `conntra` writes.
    """
    runs = [(name, d) for name, d in documents if kind_of(d) == "run"]
    parts = [f"<h1>{escape(title)}</h1>"]
    if runs:
        parts.append(
            f'<p>Energy, latency and throughput on a chip are <span class="modelled">{MODELLED}</span>, unless a table '
            "says that a board measured them. Each coefficient set is listed with its sources.</p>"
        )
        parts.append(_drawn(", ".join(name for name, _ in runs), _overview, runs))
    sections = {"run": _run, "certificate": _certificate, "fuzz": _fuzz}
    parts += [_drawn(name, sections[kind_of(document)], name, document) for name, document in documents]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}{view}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"
    )


def _drawn(names: str, draw: Callable[..., str], *arguments: Any) -> str:
    """Return what ``draw`` makes of documents; FileFormatError where they hold something else than it expects."""
    try:
        return draw(*arguments)
    except MALFORMED as error:
        what = f"{type(error).__name__}: {in_short(error)}"
        raise FileFormatError(f"{names}: not what conntra writes ({what}); give files as they were written") from error


def _overview(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return a row a run: what one compares first."""
    sets = list(dict.fromkeys(e["coefficients"] for _, d in runs for e in d["energy"]))
    columns = ["result", "chip", "on", "samples>", "accuracy>", *(f"{name}, dynamic a sample>" for name in sets)]
    columns += ["latency>", "throughput>"]
    rows = []
    for name, d in runs:
        by_set = {e["coefficients"]: e["per_inference_j"] for e in d["energy"]}
        energies = [si(by_set.get(each), "J") for each in sets]
        rows.append([name, d["chip"], d["backend"], count(d["samples"]), _right(d), *energies])
        rows[-1] += [si(d["latency_s"], "s"), si(d["throughput_hz"], "samples/s")]
    note = "latency and throughput under the first set of each chip"
    return table_html(Table(columns, rows, f"{note}; energy: {MODELLED}"))


def _run(name: str, document: Mapping[str, Any]) -> str:
    what = document.get("program", name)
    parts = [f"<h2>{escape(name)}: {escape(str(what))} on {escape(document['backend'])}</h2>", _facts(document)]
    parts += ["<h3>What happened</h3>", _counts(document)]
    parts += [f'<h3>Energy and latency on the chip: <span class="modelled">{MODELLED}</span></h3>', _energy(document)]
    parts.append(_layers(document))
    parts += [_sources(costs_name, costs) for costs_name, costs in document.get("coefficients", {}).items()]
    if any(value is not None for value in document.get("measured", {}).values()):
        parts += ["<h3>Measured on a board</h3>", _measured(document["measured"])]
    parts += _baselines(document)
    parts += _pictures(document)
    return "\n".join(parts)


def _right(d: Mapping[str, Any]) -> str:
    return percent(d["accuracy"]) if d.get("mse") is None else squared(d["mse"], d.get("r2"))


def _facts(d: Mapping[str, Any]) -> str:
    rate = f", {si(d['samples'] / d['run_seconds'], 'samples/s')}" if d["run_seconds"] else ""
    facts = {
        "error" if d.get("mse") is not None else "accuracy": f"{_right(d)} of {count(d['samples'])} samples",
        "data": f"{d['data']}, {d['split']}" if "data" in d else "-",
        "chip": d["chip"],
        "simulated in": f"{seconds(d['run_seconds'])} on the machine that ran it{rate}",
        "versions": ", ".join(f"{key} {value}" for key, value in d.get("versions", {}).items()) or "-",
        "program": f"sha256 {d['program_sha256']}" if "program_sha256" in d else "-",
    }
    return definition_list(facts)


def _counts(d: Mapping[str, Any]) -> str:
    n = d["samples"]
    names = ("spikes", "synops", "neuron_updates", "active_updates", "packets_out")
    rows = [
        [layer, *(count(round(counts[key] / n, 1)) for key in names)] for layer, counts in d["counts_by_layer"].items()
    ]
    columns = ["events a sample", "spikes>", "synaptic operations>", "neuron updates>", "of them active>", "packets>"]
    totals = ", ".join(f"{key.replace('_', ' ')} {count(value)}" for key, value in d["counts"].items())
    where = "" if d["counted_on"] == d["backend"] else f"; counted on {d['counted_on']}"
    return table_html(Table(columns, rows, f"all samples together, input included: {totals}{where}"))


def _energy(d: Mapping[str, Any]) -> str:
    estimates, n = d["energy"], d["samples"]
    columns = ["a sample", *(f"{e['coefficients']}{' (proxy)' if e['proxy'] else ''}>" for e in estimates)]
    rows = [_row("dynamic energy", estimates, lambda e: si(e["per_inference_j"], "J"))]
    rows.append(_row("  95th percentile", estimates, lambda e: si(e["per_inference_p95_j"], "J")))
    kinds = [kind for kind in dict.fromkeys(k for e in estimates for k in e["breakdown"]) if kind != "static"]
    for kind in kinds:
        label = f"  {kind.replace('_', ' ')}"
        rows.append(_row(label, estimates, lambda e, kind=kind: si(e["breakdown"].get(kind, 0) / n, "J")))
    rows += [
        _row("static energy (leakage)", estimates, lambda e: si(e["static_j"] / n, "J") + _second_hand(e)),
        _row("dynamic and static", estimates, lambda e: si(e["per_inference_total_j"], "J")),
        _row("latency", estimates, lambda e: si(e["latency_s"], "s")),
        _row("  95th percentile", estimates, lambda e: si(e["latency_p95_s"], "s")),
        _row("samples (pipelined)", estimates, lambda e: f"{count(round(e['throughput_hz']))} a second"),
        _row("energy-delay product", estimates, lambda e: si(e["energy_delay_product_js"], "Js")),
    ]
    notes = [e["provenance"] for e in estimates]
    spread = d.get("energy_spread")
    if spread and spread["ratio"]:
        notes.append(f"the sets differ by a factor of {spread['ratio']:.2f} in dynamic energy")
    if any(e["static_second_hand"] for e in estimates):
        notes.append("* known at second hand only")
    return table_html(Table(columns, rows, "\n".join(notes)))


def _row(label: str, estimates: Sequence[Mapping[str, Any]], value: Any) -> list[str]:
    return [label, *(value(estimate) for estimate in estimates)]


def _second_hand(estimate: Mapping[str, Any]) -> str:
    return " *" if estimate["static_second_hand"] else ""


def _layers(d: Mapping[str, Any]) -> str:
    estimates, n = d["energy"], d["samples"]
    columns = [f"dynamic energy a sample ({MODELLED})", *(f"{e['coefficients']}>" for e in estimates)]
    layers = [
        [name, *(si(sum(e["by_layer"][name].values()) / n, "J") for e in estimates)] for name in _names(estimates)
    ]
    cores = sorted({int(core) for e in estimates for core in e["by_core"]})
    by_core = [[f"core {core}", *(si(e["by_core"][str(core)] / n, "J") for e in estimates)] for core in cores]
    return table_html(Table(columns, layers)) + details(f"by core ({len(cores)})", table_html(Table(columns, by_core)))


def _names(estimates: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(estimates[0]["by_layer"]) if estimates else []


def _sources(name: str, costs: Mapping[str, Any]) -> str:
    rows = [
        [key, f"{entry['value']:g} {entry['unit']}", entry["scope"], entry["node"], entry["source"] + _doubts(entry)]
        for key, entry in costs["entries"].items()
    ]
    table = table_html(Table(["entry", "value>", "what it includes", "node>", "source"], rows))
    return details(f"sources of {name}: {costs['title']}", table)


def _doubts(entry: Mapping[str, Any]) -> str:
    return ("; second hand" if entry["second_hand"] else "") + (f"; {entry['note']}" if entry["note"] else "")


def _measured(measured: Mapping[str, Any]) -> str:
    return definition_list({_unitless(key): _quantity(key, v) for key, v in measured.items() if v is not None})


_UNITS = {"s": "s", "w": "W", "j": "J", "hz": "samples/s"}


def _unitless(key: str) -> str:
    stem, _, unit = key.rpartition("_")
    return (stem if unit in _UNITS else key).replace("_", " ")


def _quantity(key: str, value: Any) -> str:
    unit = key.rpartition("_")[2]
    if unit in _UNITS:
        return si(value, _UNITS[unit])
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count(n)}" for name, n in value.items())
    return count(value) if isinstance(value, (int, float)) else str(value)


def _baselines(d: Mapping[str, Any]) -> list[str]:
    """Return the two tables of baselines, each under a heading of its own: they are not to be mixed."""
    parts = []
    for name, rows in d.get("baselines", {}).items():
        columns = ["in place of the chip", "multiply-accumulates>", "a sample>", "node>", "source"]
        table = [
            [row["name"], count(row["macs"]), si(row["per_inference_j"], "J"), row["node"], row["source"]]
            for row in rows
        ]
        parts += [f"<h3>Baseline, {BASELINES[name]}: {MODELLED}</h3>", table_html(Table(columns, table))]
    return parts


def _pictures(d: Mapping[str, Any]) -> list[str]:
    from conntra_neuro.report.plots import figures
    from conntra_neuro.report.plots.style import svg

    parts = []
    for name, figure in figures(d).items():
        data = base64.b64encode(svg(figure)).decode("ascii")
        image = f'<img alt="{escape(_CAPTIONS[name])}" src="data:image/svg+xml;base64,{data}">'
        parts.append(f'<figure id="{name}">{image}<figcaption class="note">{_CAPTIONS[name]}</figcaption></figure>')
    return parts


def _certificate(name: str, d: Mapping[str, Any]) -> str:
    names, compared = ", ".join(d["backends"]), d["compared"]
    verdict = "equal" if d["equal"] else '<span class="no">NOT equal</span>'
    facts = {
        "compared": f"{count(compared['spikes'])} spikes and {count(compared['potentials'])} potentials on each",
        "samples": count(d["samples"]),
        "chip": d["chip"],
        "overflow": _overflow(d["overflow"]),
        "first divergence": _divergence(d),
        "program": f"sha256 {d['program_sha256']}",
        "inputs": f"sha256 {d['inputs_sha256']}",
        "versions": ", ".join(f"{key} {value}" for key, value in d["versions"].items()),
    }
    return f"<h2>{escape(name)}: {escape(names)} are {verdict}</h2>" + definition_list(facts)


def _overflow(proofs: Sequence[Mapping[str, Any]]) -> str:
    broken = [p for p in proofs if not p["holds"]]
    if not broken:
        return "impossible, whatever the input, in " + ", ".join(dict.fromkeys(p["register"] for p in proofs))
    return "; ".join(f"possible: {p['population']}, neuron {p['neuron']}, register {p['register']}" for p in broken)


def _divergence(d: Mapping[str, Any]) -> str:
    first = d["first_divergence"]
    if first is None:
        return "none"
    causes = [f["text"] for diagnosis in d["diagnoses"] for f in diagnosis["findings"]]
    where = f"{first['backend']}, layer {first['layer']}, neuron {first['neuron']}, sample {first['sample']}"
    return f"{where}: {first['expected']} expected, got {first['got']}; " + ("; ".join(causes) or "no cause found")


def _fuzz(name: str, d: Mapping[str, Any]) -> str:
    columns = ["backend", "programs>", "refused>", "samples>", "spikes>", "potentials>", "wrong>", "time>"]
    keys = ("programs", "refused", "samples", "spikes", "potentials", "mismatches")
    rows = [[b, *(count(t[key]) for key in keys), seconds(t["seconds"])] for b, t in d["backends"].items()]
    verdict = "all equal" if d["equal"] else '<span class="no">NOT equal</span>'
    space = "; ".join(f"{key.replace('_', ' ')} {low} to {high}" for key, (low, high) in d["space"].items())
    title = f"<h2>{escape(name)}: {count(d['programs'])} random programs, {verdict}</h2>"
    return title + table_html(Table(columns, rows, f"seed {d['seed']}; {space}"))
