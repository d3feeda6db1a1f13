"""Exact kernels of moves in a network of any layers: what a move changes is followed upwards, and nothing else.

A move of one weight changes the potentials of one channel, at the places where the weight sees an input; only units
whose outputs change pass their change on, along the edges of the graph. All values are integers and losses whole
quanta, so changes are exact and depend neither on order nor on threads. Plain forward passes are the tests' oracle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit
from conntra_hardware.neurons import GRADED_MAX
from conntra_neuro.training.incremental.graph import (
    DENSE,
    FIRE_HARD,
    FIRE_SOFT,
    RELU,
    SAME,
    THRESHOLD,
    WINDOW,
)
from conntra_neuro.training.objective import sample_loss

__all__ = ["move_together", "try_moves"]

_fast = jit
# They hand arrays on by the million and make none: without numba's counting of references to these, which took two
# thirds of the time.
_inner = jit(_nrt=False)


class _Room(NamedTuple):
    """Scratch memory. Between samples ``dz``, ``marked`` and ``counts`` are zero.

    dz       changes of potentials, as ``Graph.z``; the places that they are at are ``marked``
    touched  those places, of each vertex from its ``place_at`` on, as many as ``counts`` says
    channel  of the outputs of a place that change at a step, and by how much (``change``)
    v        of integrate-and-fire units of a place;  ``logits`` of a sample
    """

    dz: npt.NDArray[Any]
    marked: npt.NDArray[np.bool_]
    touched: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int64]
    change: npt.NDArray[Any]
    v: npt.NDArray[np.int64]
    logits: npt.NDArray[np.int64]


@_fast
def _room_for(graph):
    last = graph.vertices[graph.vertices.size - 1]
    places, most = last.place_at + 1, np.max(graph.vertices["channels"])
    return _Room(
        np.zeros(graph.z.shape[1], dtype=graph.weights.dtype),
        np.zeros(places, dtype=np.bool_),
        np.empty(places, dtype=np.int64),
        np.zeros(graph.vertices.size, dtype=np.int64),
        np.empty(most, dtype=np.int64),
        np.empty(most, dtype=graph.weights.dtype),
        np.empty(most, dtype=np.int64),
        np.empty(last.channels, dtype=np.int64),
    )


@_inner
def _touch(room, number, vertex, step, place):
    """Return where the potentials of a place of vertex ``number`` begin; they are to be looked at."""
    at = vertex.place_at + place
    if not room.marked[at]:
        room.marked[at] = True
        room.touched[vertex.place_at + room.counts[number]] = place
        room.counts[number] += 1
    return vertex.z_at + (min(step, vertex.steps - 1) * vertex.places + place) * vertex.channels


@_inner
def _push(graph, room, number, step, place, count):
    """Pass the ``count`` changes of outputs at a place on to all that read it."""
    for e in range(graph.first_edge[number], graph.first_edge[number + 1]):
        edge = graph.edges[e]
        target = graph.vertices[edge.target]
        if edge.kind == DENSE:
            at = _touch(room, edge.target, target, step, 0)
            first = place * graph.vertices[number].channels
            for i in range(count):
                row = edge.weight_at + (first + room.channel[i]) * edge.out
                _add(room.dz, at, graph.weights, row, edge.out, room.change[i])
        elif edge.kind == SAME:
            at = _touch(room, edge.target, target, step, place)
            for i in range(count):
                room.dz[at + room.channel[i]] += edge.scale * room.change[i]
        else:
            _push_places(graph, room, edge, target, step, place, count)


@_inner
def _push_places(graph, room, edge, target, step, place, count):
    """As ``_push``, to all places of a kernel, or windows of pooling, that see the outputs."""
    y, x = place // edge.width + edge.top, place % edge.width + edge.left
    r = min(y // edge.down, edge.rows - 1)
    while r >= 0:
        a = y - r * edge.down
        if edge.below != 1:
            a = _weight_at(a, edge.below)
        if a >= edge.kernel_h:
            break
        c = min(x // edge.right, edge.columns - 1) if a >= 0 else -1
        while c >= 0:
            b = x - c * edge.right
            if edge.beside != 1:
                b = _weight_at(b, edge.beside)
            if b >= edge.kernel_w:
                break
            if b >= 0:
                _push_place(graph, room, edge, target, step, r * edge.columns + c, a * edge.kernel_w + b, count)
            c -= 1
        r -= 1


@_inner
def _weight_at(distance, apart):
    """Return which weight of a kernel's row or column lies so far from its corner; -1 in the gaps of a dilated one."""
    return distance // apart if distance % apart == 0 else -1


@_inner
def _push_place(graph, room, edge, target, step, place, seen, count):
    """As ``_push``, to ``place``, which sees the outputs through weight ``seen`` of its kernel, or in its window."""
    at = _touch(room, edge.target, target, step, place)
    if edge.kind == WINDOW:
        for i in range(count):
            room.dz[at + room.channel[i]] += room.change[i]
        return
    row = edge.weight_at + seen * edge.inner * edge.out
    for i in range(count):
        channel = room.channel[i]
        group = 0 if edge.inner == edge.channels else channel // edge.inner
        left = group * edge.outer
        first = row + (channel - group * edge.inner) * edge.out + left
        _add(room.dz, at + left, graph.weights, first, edge.outer, room.change[i])


@_inner
def _add(dz, at, weights, row, count, change):
    """Add ``change`` times ``count`` weights to ``dz``, side by side: vector instructions."""
    for k in range(count):
        dz[at + k] += weights[row + k] * change


@_inner
def _begin(graph, room, n, move):
    """Change the potentials that ``move`` (edge, row, column, step) changes; the row after the last is the bias."""
    edge = graph.edges[move[0]]
    row, column, change = move[1], move[2], move[3]
    target, source = graph.vertices[edge.target], graph.vertices[edge.source]
    channel = column // edge.outer * edge.inner + row % edge.inner
    a, b = row // edge.inner // edge.kernel_w, row // edge.inner % edge.kernel_w
    units = source.places * source.channels
    for step in range(graph.steps):
        first = source.out_at + step * units + channel
        for r in range(edge.rows):
            y = r * edge.down + a * edge.below - edge.top
            for c in range(edge.columns):
                x = c * edge.right + b * edge.beside - edge.left
                value = np.int64(1)
                if row < edge.n_in:
                    inside = 0 <= y < edge.height and 0 <= x < edge.width
                    value = np.int64(graph.outputs[n, first + (y * edge.width + x) * edge.channels]) if inside else 0
                if value:
                    at = _touch(room, edge.target, target, step, r * edge.columns + c)
                    room.dz[at + column] += change * value


@_inner
def _respond(graph, room, number, vertex, n, place, left, right, write):
    """Find the outputs of channels ``left`` to ``right`` of a place anew, and pass on what has changed.

    Returns whether they are within 24 bits.
    """
    fits = True
    for k in range(left, right):
        room.v[k] = 0
    for step in range(vertex.steps):
        at = (step * vertex.places + place) * vertex.channels
        z_at, out_at = vertex.z_at + at, vertex.out_at + at
        if vertex.kind == THRESHOLD:
            count = _thresholds(graph.z, graph.outputs, room, n, z_at, out_at, left, right)
        elif vertex.kind == FIRE_HARD or vertex.kind == FIRE_SOFT:
            count = _integrate(graph.z, graph.outputs, room, vertex, n, z_at, out_at, left, right)
        else:
            count, within = _graded(graph.z, graph.outputs, room, vertex, n, z_at, out_at, left, right)
            fits = fits and within
        if count:
            _push(graph, room, number, step, place, count)
        if write:
            for k in range(left, right):
                graph.z[n, z_at + k] += room.dz[z_at + k]
            for i in range(count):
                graph.outputs[n, out_at + room.channel[i]] += room.change[i]
        for k in range(left, right):
            room.dz[z_at + k] = 0
    return fits


@_inner
def _thresholds(z, outputs, room, n, z_at, out_at, left, right):
    """Gather the spikes that change; return how many."""
    count = 0
    for k in range(left, right):
        new = z[n, z_at + k] + room.dz[z_at + k] > 0
        if new != (outputs[n, out_at + k] > 0):
            room.channel[count], room.change[count] = k, 1 if new else -1
            count += 1
    return count


@_inner
def _integrate(z, outputs, room, vertex, n, z_at, out_at, left, right):
    """As ``_thresholds``, for integrate-and-fire units at a step."""
    count = 0
    for k in range(left, right):
        v = room.v[k] + z[n, z_at + k] + room.dz[z_at + k]
        new = v >= vertex.parameter
        if new:
            v = np.int64(0) if vertex.kind == FIRE_HARD else v - vertex.parameter
        room.v[k] = v
        if new != (outputs[n, out_at + k] > 0):
            room.channel[count], room.change[count] = k, 1 if new else -1
            count += 1
    return count


@_inner
def _graded(z, outputs, room, vertex, n, z_at, out_at, left, right):
    """As ``_thresholds``, for graded spikes and sums; and whether they are within 24 bits."""
    count, within = 0, True
    for k in range(left, right):
        new = np.int64(z[n, z_at + k]) + room.dz[z_at + k]
        if vertex.kind == RELU:
            new = max(new >> vertex.parameter, np.int64(0))
            within = within and new <= GRADED_MAX
        old = outputs[n, out_at + k]
        if new != old:
            room.channel[count], room.change[count] = k, new - old
            count += 1
    return count, within


@_inner
def _follow(graph, loss, room, n, first, left, right, write):
    """Follow the changes of potentials from vertex ``first`` up, there of channels ``left`` to ``right``.

    Returns the sample's loss; -1 where a graded spike is beyond 24 bits.
    """
    last, fits = graph.vertices.size - 1, True
    for number in range(first, last):
        vertex = graph.vertices[number]
        begin, end = (left, right) if number == first else (0, vertex.channels)
        for i in range(room.counts[number]):
            place = room.touched[vertex.place_at + i]
            room.marked[vertex.place_at + place] = False
            fits = _respond(graph, room, number, vertex, n, place, begin, end, write) and fits
        room.counts[number] = 0
    if room.counts[last] == 0:
        return graph.losses[n] if fits else np.int64(-1)
    top = graph.vertices[last]
    room.counts[last], room.marked[top.place_at] = 0, False
    for k in range(top.channels):
        room.logits[k] = np.int64(graph.z[n, top.z_at + k]) + room.dz[top.z_at + k]
        room.dz[top.z_at + k] = 0
        if write:
            graph.z[n, top.z_at + k] = room.logits[k]
    found = sample_loss(room.logits, graph.targets[n], loss.table, loss.scale, loss.margin)
    return found if fits else np.int64(-1)


@_fast
def try_moves(graph, loss, moves, first, last):
    """Change of the summed loss of samples ``first`` to ``last``, in quanta, by each of ``moves`` on its own.

    moves   (k, 4) rows of (edge, row, column, step)
    Returns (2, k): the changes, and on how many samples a graded spike would not fit 24 bits.
    """
    room, found = _room_for(graph), np.zeros((2, moves.shape[0]), dtype=np.int64)
    for n in range(first, last):
        for k in range(moves.shape[0]):
            _begin(graph, room, n, moves[k])
            column = moves[k, 2]
            new = _follow(graph, loss, room, n, graph.edges[moves[k, 0]].target, column, column + 1, False)
            if new < 0:
                found[1, k] += 1
            else:
                found[0, k] += new - graph.losses[n]
    return found


@_fast
def move_together(graph, loss, moves, write, first, last):
    """As ``try_moves``, by all of them, which are of one layer, together: (2,).

    ``write`` keeps potentials, outputs and losses; ``graph.weights`` are the caller's to change.
    """
    room, found = _room_for(graph), np.zeros(2, dtype=np.int64)
    first_vertex = graph.edges[moves[0, 0]].target
    for n in range(first, last):
        for k in range(moves.shape[0]):
            _begin(graph, room, n, moves[k])
        new = _follow(graph, loss, room, n, first_vertex, 0, graph.vertices[first_vertex].channels, write)
        if new < 0:
            found[1] += 1
            continue
        found[0] += new - graph.losses[n]
        if write:
            graph.losses[n] = new
    return found
