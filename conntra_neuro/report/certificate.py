"""Certificates as people read them: what was compared, what differs and why, whether it was found so again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from conntra_neuro.report.tables import facts, grid
from conntra_neuro.report.units import count, seconds

__all__ = ["certificate_view", "fuzz_view", "recheck_view"]

_INPUTS_SHOWN = 12


def certificate_view(document: Mapping[str, Any]) -> RenderableType:
    """Return a certificate; ``document`` is ``Certificate.to_dict``'s."""
    compared, names = document["compared"], ", ".join(document["backends"])
    rows = [
        ("samples", count(document["samples"]) + _origin(document.get("chosen", {}))),
        ("compared", f"{count(compared['spikes'])} spikes and {count(compared['potentials'])} potentials on each"),
        ("overflow", _overflow(document.get("overflow", ()))),
        ("program", f"sha256 {document['program_sha256'][:16]}"),
        ("inputs", f"sha256 {document['inputs_sha256'][:16]}"),
        ("versions", _versions(document["versions"])),
    ]
    if document["equal"]:
        return facts(f"equal: {names}", rows)
    return facts(f"NOT equal: {names}", [*rows, *_divergence(document)])


def _divergence(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    first = document["first_divergence"]
    shown = [f"{i} ({w:+d})" for i, w in zip(first["inputs"], first["weights"], strict=True)]
    more = f" and {len(shown) - _INPUTS_SHOWN} more" if len(shown) > _INPUTS_SHOWN else ""
    rows = [
        ("first divergence", f"{first['backend']}, layer {first['layer']}, neuron {first['neuron']}"),
        ("when", f"time step {first['time_step']}, sample {first['sample']}"),
        ("expected, got", f"{first['expected']}, {first['got']}"),
        ("active inputs", (", ".join(shown[:_INPUTS_SHOWN]) + more or "none") + f"; bias {first['bias']:+d}"),
        ("right potential", f"{first['potential']}{_wrong_potential(document)}"),
    ]
    for name, differing in document["differing"].items():
        if any(differing.values()):
            wrong = ", ".join(f"{count(n)} {kind}" for kind, n in differing.items() if n)
            rows.append((f"wrong on {name}", wrong))
    for diagnosis in document.get("diagnoses", ()):
        for finding in diagnosis["findings"]:
            where = f"{diagnosis['backend']}, layer {finding['layer']}"
            known = f"explains all {count(finding['wrong'])} wrong values" if finding["cause"] else "not explained"
            rows.append(("cause", f"{where}: {finding['text']} ({known})"))
            rows += [("", f"the same values: {text}") for text in finding["also"]]
    return rows


def _wrong_potential(document: Mapping[str, Any]) -> str:
    first = document["first_divergence"]
    for diagnosis in document.get("diagnoses", ()):
        for finding in diagnosis["findings"]:
            here = diagnosis["backend"] == first["backend"] and finding["layer"] == first["layer"]
            if here and finding["potential"] is not None:
                return f"; {finding['potential']} with the mistake below"
    return ""


def _overflow(proofs: Sequence[Mapping[str, Any]]) -> str:
    if not proofs:
        return "-"
    broken = [proof for proof in proofs if not proof["holds"]]
    if not broken:
        low, high = min(p["low"] for p in proofs), max(p["high"] for p in proofs)
        registers = ", ".join(dict.fromkeys(p["register"] for p in proofs))
        return f"impossible on {registers}: potentials lie within {low} to {high}, whatever the input"
    worst = broken[0]
    return f"possible: {worst['population']}, neuron {worst['neuron']}, register {worst['register']} +-{worst['limit']}"


def _origin(chosen: Mapping[str, Any]) -> str:
    if "data" in chosen:
        split = f", {chosen['split']}" if "split" in chosen else ""
        return f" of {chosen['data']}{split}, seed {chosen['seed']}"
    if "fuzz_seed" in chosen:
        return f" of fuzz seed {chosen['fuzz_seed']}, program {chosen['index']}"
    return ""


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def recheck_view(document: Mapping[str, Any], certificate: RenderableType | None) -> RenderableType:
    """Return what checking a certificate again gave; ``document`` is the verb's, ``certificate`` the fresh one."""
    title = "certificate confirmed" if document["confirmed"] else "certificate NOT confirmed"
    rows = [("certificate", document["certificate"])]
    rows += [] if document["mismatch"] is None else [("mismatch", document["mismatch"])]
    rows += (
        [] if document["signer"] is None or not document["confirmed"] else [("signed", f"with {document['signer']}")]
    )
    rows += [("note", note) for note in document["notes"]]
    return Group(facts(title, rows), *([] if certificate is None else [certificate]))


def fuzz_view(document: Mapping[str, Any]) -> RenderableType:
    """Return the outcome of a fuzz run; ``document`` is ``FuzzReport.to_dict``'s."""
    rows = [
        [
            name,
            *(count(tally[key]) for key in ("programs", "refused", "samples")),
            count(tally["spikes"] + tally["potentials"]),
            count(tally["mismatches"]),
            count(tally.get("failed", 0)),
            seconds(tally["seconds"]),
        ]
        for name, tally in document["backends"].items()
    ]
    columns = ["backend", "programs>", "refused>", "samples>", "values>", "wrong>", "failed>", "time>"]
    title = f"{count(document['programs'])} random programs, seed {document['seed']}, against the plain loop: "
    space = "; ".join(f"{key.replace('_', ' ')} {low} to {high}" for key, (low, high) in document["space"].items())
    views = [grid(title + ("all equal" if document["equal"] else "NOT equal"), columns, rows, space)]
    for failure in document["failures"]:
        first = failure["first_divergence"]
        rows = []
        if first is not None:
            where = f"layer {first['layer']}, neuron {first['neuron']}, sample {first['sample']}"
            rows = [("first divergence", f"{where}: {first['expected']} expected, got {first['got']}")]
        rows += [
            ("cause", failure["diagnosis"]),
            ("saved in", str(failure["saved"] or "- (give --out)")),
        ]
        views.append(facts(f"{failure['backend']}, program {failure['index']}", rows))
    return Group(*views)
