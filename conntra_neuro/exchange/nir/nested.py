"""Nested NIR graphs, opened."""

from __future__ import annotations

from typing import Any

from conntra_hardware.base.errors import InputError

__all__ = ["opened"]


def opened(graph: Any, entry: str | None, prefix: str = "") -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return nodes and edges of a graph whose nested graphs are opened, names joined by dots.

    entry   as in ``Convention``; InputError for nested graphs without one way in or out
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    ends: dict[str, tuple[list[str], list[str]]] = {}
    for name, node in graph.nodes.items():
        if type(node).__name__ != "NIRGraph":
            nodes[prefix + name] = node
            ends[name] = ([prefix + name], [prefix + name])
            continue
        inner, between = opened(node, entry, f"{prefix}{name}.")
        kinds = {n: type(x).__name__ for n, x in inner.items()}
        first = [n for n, kind in kinds.items() if kind == "Input"]
        last = [n for n, kind in kinds.items() if kind == "Output"]
        if len(first) != 1 or len(last) != 1:
            raise InputError(f"node {prefix}{name}: a nested graph with {len(first)} inputs and {len(last)} outputs")
        entering = [t for s, t in between if s == first[0]]
        leaving = [s for s, t in between if t == last[0]]
        if not entering or not leaving or last[0] in entering:
            raise InputError(f"node {prefix}{name}: a nested graph without nodes between its input and its output")
        entering = [_entry(entering[0], between, inner, entry)] if len(entering) == 1 else entering
        nodes |= {n: x for n, x in inner.items() if n not in (first[0], last[0])}
        edges += [(s, t) for s, t in between if s != first[0] and t != last[0]]
        ends[name] = (entering, leaving)
    for source, target in graph.edges:
        if source not in ends or target not in ends:
            source, target = (_renamed(end, graph, ends) for end in (source, target))
        edges += [(leaving, entering) for leaving in ends[source][1] for entering in ends[target][0]]
    return nodes, edges


def _entry(name: str, edges: list[tuple[str, str]], nodes: dict[str, Any], entry: str | None) -> str:
    """Return the node that the input of a nested graph is for: Spyx leads it into the weights of the way back."""
    behind = [target for source, target in edges if source == name]
    if not hasattr(nodes[name], "weight") or len(behind) != 1 or (behind[0], name) not in edges:
        return name
    if entry is None:
        raise InputError(
            f"node {name}: a nested graph leads its input into the weights of its way back, as Spyx writes it; give "
            "--source spyx to have it lead into the neurons, as Spyx runs it"
        )
    return behind[0]


def _renamed(name: str, graph: Any, ends: dict[str, Any]) -> str:
    """Return a node for an edge's end that names none: the only one that no edge names, as older exporters wrote it."""
    if name in ends:
        return name
    named = {end for edge in graph.edges for end in edge}
    unnamed = [n for n in graph.nodes if n not in named]
    if len(unnamed) != 1:
        raise InputError(f"edge to or from {name}: no such node")
    return unnamed[0]
