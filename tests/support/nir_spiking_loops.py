"""Two layers of NIR neurons with a loop, one neuron and one number at a time: NIR's equations written out again."""

from __future__ import annotations

from typing import Any

__all__ = ["run_layer"]


def run_layer(kind: str, p: dict[str, Any], how: dict[str, Any], sent: list[list[float]]) -> list[list[float]]:
    """Return what a layer sends (steps, neurons) at ``sent`` (steps, inputs).

    p    w, b, loop (or None), tau, tau_syn, r, w_in, v_leak, theta: lists by neuron
    how  dt, reset, strict, several
    """
    n = len(p["w"])
    u, v, last = [0.0] * n, [0.0] * n, [0.0] * n
    rows: list[list[float]] = []
    for arriving in sent:
        now: list[float] = []
        for i in range(n):
            x = p["b"][i]
            for j, spike in enumerate(arriving):
                x += p["w"][i][j] * spike
            if p["loop"] is not None:
                for j in range(n):
                    x += p["loop"][i][j] * last[j]
            if kind in ("CubaLIF", "CubaLI"):
                u[i] += how["dt"] / p["tau_syn"][i] * (p["w_in"][i] * x - u[i])
                x = u[i]
            if kind in ("IF", "I"):
                v[i] += p["r"][i] * x
            else:
                v[i] += how["dt"] / p["tau"][i] * (p["v_leak"][i] - v[i] + p["r"][i] * x)
            if kind in ("LI", "CubaLI", "I"):
                now.append(v[i])
                continue
            theta = p["theta"][i]
            if how["reset"] == "subtract-late" and last[i]:
                v[i] -= theta
            fired = v[i] > theta if how["strict"] else v[i] >= theta
            count = 0.0
            while fired:
                count += 1
                if how["reset"] == "zero":
                    v[i] = 0.0
                elif how["reset"] == "subtract":
                    v[i] -= theta
                fired = how["several"] and how["reset"] == "subtract" and v[i] >= theta
            now.append(count)
        last = now
        rows.append(now)
    return rows
