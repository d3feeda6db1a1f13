"""The evidence of a run: what happened, what it is modelled to cost, and where each figure comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from conntra_neuro.report.energy import BASELINES, MODELLED
from conntra_neuro.report.page.charts import confusion_chart, energy_chart, rates_chart
from conntra_neuro.report.page.explored import core_figure, explorer_html
from conntra_neuro.report.page.pieces import Table, definition_list, details, figure, table_html
from conntra_neuro.report.page.spikes import raster_chart, traces_chart
from conntra_neuro.report.recorded import unpack
from conntra_neuro.report.units import count, percent, right_of, seconds, si

__all__ = ["comparison", "run_section"]


def comparison(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return a row a run: what one compares first."""
    sets = list(dict.fromkeys(e["coefficients"] for _, d in runs for e in d["energy"]))
    columns = ["result", "chip", "on", "samples>", "accuracy>", *(f"{name}, dynamic a sample>" for name in sets)]
    columns += ["latency>", "throughput>"]
    rows = []
    for name, d in runs:
        by_set = {e["coefficients"]: e["per_inference_j"] for e in d["energy"]}
        energies = [si(by_set.get(each), "J") for each in sets]
        rows.append([name, d["chip"], d["backend"], count(d["samples"]), right_of(d)[1], *energies])
        rows[-1] += [si(d["latency_s"], "s"), si(d["throughput_hz"], "samples/s")]
    note = "latency and throughput under the first set of each chip"
    return table_html(Table(columns, rows, f"{note}; energy: {MODELLED}"))


def run_section(name: str, document: Mapping[str, Any], number: int, same_as: str = "") -> str:
    """Return the section of a run, the ``number``-th of the page: the explorer, then evidence that folds.

    ``same_as`` names an earlier run of the page that has the same samples, spike for spike.
    """
    what = document.get("program", name)
    title = f"{escape(name)}: {escape(str(what))} on {escape(document['backend'])}"
    parts = [f'<section class="run" id="run{number}"><h2>{title}</h2>']
    parts.append(_same(same_as) if same_as else explorer_html(document, number))
    energy = f"Energy and latency on the chip: {MODELLED}"
    parts += [
        details("What happened", _facts(document) + _counts(document), unfolded=True),
        details(energy, _energy(document) + _energy_picture(document) + _layers(document), unfolded=True),
    ]
    if any(value is not None for value in document.get("measured", {}).values()):
        parts.append(details("Measured on a board", _measured(document["measured"]), unfolded=True))
    parts += _pictures(document)
    parts += _baselines(document)
    parts += [_sources(costs_name, costs) for costs_name, costs in document.get("coefficients", {}).items()]
    return "\n".join(parts) + "</section>"


def _same(name: str) -> str:
    return f'<p class="note">The samples to step through are the same as in {escape(name)}, spike for spike.</p>'


def _facts(d: Mapping[str, Any]) -> str:
    rate = f", {si(d['samples'] / d['run_seconds'], 'samples/s')}" if d["run_seconds"] else ""
    facts = {
        right_of(d)[0]: f"{right_of(d)[1]} of {count(d['samples'])} samples",
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
    table = table_html(Table(columns, layers))
    return table + details(f"by core ({len(cores)})", table_html(Table(columns, by_core)))


def _names(estimates: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(estimates[0]["by_layer"]) if estimates else []


def _sources(name: str, costs: Mapping[str, Any]) -> str:
    rows = [
        [key, f"{entry['value']:g} {entry['unit']}", entry["scope"], entry["node"], entry["source"] + _doubts(entry)]
        for key, entry in costs["entries"].items()
    ]
    table = table_html(Table(["entry", "value>", "what it includes", "node>", "source"], rows))
    return details(f"Sources of {name}: {costs['title']}", table)


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
    """Return the two tables of baselines, each behind a line of its own: they are not to be mixed."""
    parts = []
    for name, rows in d.get("baselines", {}).items():
        columns = ["in place of the chip", "multiply-accumulates>", "a sample>", "node>", "source"]
        table = [
            [row["name"], count(row["macs"]), si(row["per_inference_j"], "J"), row["node"], row["source"]]
            for row in rows
        ]
        parts.append(details(f"Baseline, {BASELINES[name]}: {MODELLED}", table_html(Table(columns, table))))
    return parts


def _energy_picture(d: Mapping[str, Any]) -> str:
    caption = f"Dynamic energy of a sample: {MODELLED}. Leakage is not in the bars."
    return figure("energy", energy_chart(d["energy"]), caption) if d["energy"] else ""


def _pictures(d: Mapping[str, Any]) -> list[str]:
    """Return what the document has the data for: who spiked when and how often, potentials, who is taken for whom."""
    parts = []
    recorded, traces, confusion = d.get("recorded"), d.get("traces"), d.get("confusion")
    if d.get("cores") and d.get("mesh") and not (d.get("explorer") or {}).get("samples"):
        parts.append(details("Where it stands on the chip", core_figure(d), unfolded=True))
    if d.get("cores"):
        parts.append(details(f"Cores in use ({len(d['cores'])})", _cores(d["cores"])))
    if recorded:
        parts.append(details("How often neurons fire", _rates(recorded), unfolded=True))
        parts.append(details("Who spikes when", _raster(recorded), unfolded=True))
    if traces:
        caption = "Potentials of the busiest neurons with state, before a spike is decided; dots are spikes."
        parts.append(details("Potentials", figure("membrane-traces", traces_chart(traces), caption), unfolded=True))
    if confusion:
        caption = "Classes (rows) and what they were taken for (columns): samples, mistakes shaded by share."
        parts.append(details("Confusion", figure("confusion", confusion_chart(confusion), caption), unfolded=True))
    return parts


def _rates(recorded: Mapping[str, Any]) -> str:
    return figure("layer-rates", rates_chart(recorded["layers"]), "How often neurons fire, on average over a layer.")


def _raster(recorded: Mapping[str, Any]) -> str:
    steps = recorded["steps"]
    shown = len(unpack(recorded["layers"][0]["raster"])) // steps
    each = "one time step each" if steps == 1 else f"{steps} time steps each, parted by lines"
    caption = (
        f"Every spike of the first {count(shown)} samples, {each}, from left to right; neurons from top to bottom."
    )
    return figure("spike-raster", raster_chart(recorded), caption)


def _cores(cores: Sequence[Mapping[str, Any]]) -> str:
    """Return what each core in use takes, as a share of its limit where there is one."""
    names = {
        "neurons": "neurons",
        "fan_in_axons": "input axons",
        "fan_out_axons": "output axons",
        "memory_bits": "synapse memory, bits",
    }
    rows = [
        [f"core {core['core']}", ", ".join(core["populations"]), *(_share(core, key) for key in names)]
        for core in cores
    ]
    return table_html(Table(["core", "holds", *(f"{name}>" for name in names.values())], rows))


def _share(core: Mapping[str, Any], name: str) -> str:
    limit = core["limits"].get(name)
    return count(core[name]) + (f" ({percent(core[name] / limit, 0)})" if limit else "")
