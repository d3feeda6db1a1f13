"""What a report says of certificates and of random programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from conntra_neuro.report.page.pieces import Table, definition_list, table_html
from conntra_neuro.report.units import count, seconds

__all__ = ["certificate_section", "divergence", "fuzz_section", "overflow"]


def certificate_section(name: str, d: Mapping[str, Any]) -> str:
    """Return what was compared, and what was found."""
    names, compared = ", ".join(d["backends"]), d["compared"]
    verdict = "equal" if d["equal"] else '<span class="no">NOT equal</span>'
    facts = {
        "compared": f"{count(compared['spikes'])} spikes and {count(compared['potentials'])} potentials on each",
        "samples": count(d["samples"]),
        "chip": d["chip"],
        "overflow": overflow(d["overflow"]),
        "first divergence": divergence(d),
        "program": f"sha256 {d['program_sha256']}",
        "inputs": f"sha256 {d['inputs_sha256']}",
        "versions": ", ".join(f"{key} {value}" for key, value in d["versions"].items()),
    }
    return f"<h2>{escape(name)}: {escape(names)} are {verdict}</h2>" + definition_list(facts)


def overflow(proofs: Sequence[Mapping[str, Any]]) -> str:
    """Return whether a register can overflow, and which."""
    broken = [p for p in proofs if not p["holds"]]
    if not broken:
        return "impossible, whatever the input, in " + ", ".join(dict.fromkeys(p["register"] for p in proofs))
    return "; ".join(f"possible: {p['population']}, neuron {p['neuron']}, register {p['register']}" for p in broken)


def divergence(d: Mapping[str, Any]) -> str:
    """Return where backends differ first, and the causes that were found."""
    first = d["first_divergence"]
    if first is None:
        return "none"
    causes = [f["text"] for diagnosis in d["diagnoses"] for f in diagnosis["findings"]]
    where = f"{first['backend']}, layer {first['layer']}, neuron {first['neuron']}, sample {first['sample']}"
    return f"{where}: {first['expected']} expected, got {first['got']}; " + ("; ".join(causes) or "no cause found")


def fuzz_section(name: str, d: Mapping[str, Any]) -> str:
    """Return how many random programs each backend ran, and how many of them wrong."""
    columns = ["backend", "programs>", "refused>", "samples>", "spikes>", "potentials>", "wrong>", "time>"]
    keys = ("programs", "refused", "samples", "spikes", "potentials", "mismatches")
    rows = [[b, *(count(t[key]) for key in keys), seconds(t["seconds"])] for b, t in d["backends"].items()]
    verdict = "all equal" if d["equal"] else '<span class="no">NOT equal</span>'
    space = "; ".join(f"{key.replace('_', ' ')} {low} to {high}" for key, (low, high) in d["space"].items())
    title = f"<h2>{escape(name)}: {count(d['programs'])} random programs, {verdict}</h2>"
    return title + table_html(Table(columns, rows, f"seed {d['seed']}; {space}"))
