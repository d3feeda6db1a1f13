"""Exact kernels of single moves: what flipping a unit does to a sample's loss, through every layer above it.

A move of one weight by d changes its unit only on samples where the input is active and the potential crosses the
threshold. So one pass over the samples gives the exact change of the objective for all moves of a unit:

    score(j, d) = sum_n x[n, j] * gain[n] * (P(z[n] + d) - P(z[n])),    gain = loss(unit on) - loss(unit off)

with P the hard step (exact) or its noisy form (annealed). Losses are whole quanta, P whole numbers too, and all sums
int64, so nothing depends on order or on threads. Their oracles in the tests are plain forward passes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.jit import jit
from conntra_neuro.training.objective import sample_loss

__all__ = ["Loss", "Net", "gather_gains", "move_unit", "score_readout", "try_moves"]

_fast = jit
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_BIT = np.zeros(64, dtype=np.int64)
for _i in range(64):
    _BIT[((1 << _i) * int(_DE_BRUIJN) % 2**64) >> 58] = _i
_ONE, _ZERO, _TOP6 = np.uint64(1), np.uint64(0), np.uint64(58)


class Net(NamedTuple):
    """A network on all samples, flat, so that kernels take any number of layers.

    potentials  (n, units) int16 or int32, layer after layer, the logits last: layer m from column ``unit_at[m]``
    spikes      (n, words) uint64 bit sets: the inputs of layer m from word ``word_at[m]``
    weights     flat int32: layer m from ``weight_at[m]``, (n_in, n_out) row-major
    losses      (n,) int64 quanta; targets (n,) class indices
    sizes       inputs, then the width of each layer
    """

    potentials: npt.NDArray[Any]
    spikes: npt.NDArray[np.uint64]
    weights: npt.NDArray[np.int32]
    losses: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    unit_at: npt.NDArray[np.int64]
    word_at: npt.NDArray[np.int64]
    weight_at: npt.NDArray[np.int64]


class Loss(NamedTuple):
    """``Objective.args``."""

    table: npt.NDArray[np.float64]
    scale: float
    margin: int


@_fast
def _spiked(net, n, layer, j):
    """Whether input j of ``layer`` is active in sample n."""
    return (net.spikes[n, net.word_at[layer] + (j >> 6)] >> np.uint64(j & 63)) & _ONE != _ZERO


@_fast
def _toggle(net, n, layer, i):
    """Flip the spike of unit i of ``layer``, an input of the layer above."""
    net.spikes[n, net.word_at[layer + 1] + (i >> 6)] ^= _ONE << np.uint64(i & 63)


@_fast
def _propagate(net, loss, n, layer, count, flips, signs, room, write):
    """Follow ``count`` flipped units of ``layer`` (``flips``, ``signs``: +1 on) upwards; return the
    sample's new loss.

    ``write`` keeps the potentials and spikes of the layers above; the loss is the caller's to keep.
    """
    last = net.sizes.size - 2
    for m in range(layer + 1, last + 1):
        width = net.sizes[m + 1]
        old = net.potentials[n, net.unit_at[m] : net.unit_at[m] + width]
        new = room[:width]
        for i in range(width):
            new[i] = old[i]
        for f in range(count):
            at = net.weight_at[m] + flips[f] * width
            row = net.weights[at : at + width]
            if signs[f] > 0:
                for i in range(width):
                    new[i] += row[i]
            else:
                for i in range(width):
                    new[i] -= row[i]
        count = 0
        if m < last:
            for i in range(width):
                if (old[i] > 0) != (new[i] > 0):
                    flips[count] = i
                    signs[count] = 1 if new[i] > 0 else -1
                    count += 1
                    if write:
                        _toggle(net, n, m, i)
        if write:
            for i in range(width):
                old[i] = new[i]
        if m == last:
            return sample_loss(new, net.targets[n], loss.table, loss.scale, loss.margin)
        if count == 0:
            break
    return net.losses[n]


@_fast
def _add_to_inputs(net, n, layer, values, out):
    """Add ``values`` (moves,) to the rows of ``out`` of the active inputs of ``layer``, and to the last, the bias."""
    words = (net.sizes[layer] + 63) >> 6
    for w in range(words):
        word = net.spikes[n, net.word_at[layer] + w]
        while word != _ZERO:
            low = word & (~word + _ONE)
            row = out[(w << 6) + _BIT[(low * _DE_BRUIJN) >> _TOP6]]
            for d in range(values.size):
                row[d] += values[d]
            word ^= low
    row = out[out.shape[0] - 1]
    for d in range(values.size):
        row[d] += values[d]


@_fast
def gather_gains(net, loss, rows, layer, unit, edge, gains, reach, shift, first, last):
    """Sums (2 edge + 1, n_in + 1) of the flip gains of a hidden unit, by its potential (-edge .. edge) and input.

    The last column is the bias. With ``curve[z] = P(z + d) - P(z)`` the scores of all moves by d are ``curve @ sums``.
    gains  (rows,) is filled with the flip gains where ``|z| <= reach``, else 0, in quanta of 2^(shift - 32) nats
    """
    n_in = net.sizes[layer]
    words = (n_in + 63) >> 6
    sums = np.zeros((2 * edge + 1, n_in + 1), dtype=np.int64)
    width = np.max(net.sizes)
    flips, signs = np.empty(width, dtype=np.int64), np.empty(width, dtype=np.int64)
    room = np.empty(width, dtype=np.int32)
    half = (1 << shift) >> 1
    for r in range(first, last):
        n = rows[r]
        z = np.int64(net.potentials[n, net.unit_at[layer] + unit])
        gains[r] = 0
        if abs(z) > reach:
            continue
        flips[0], signs[0] = unit, -1 if z > 0 else 1
        change = _propagate(net, loss, n, layer, 1, flips, signs, room, False) - net.losses[n]
        gain = ((-change if z > 0 else change) + half) >> shift
        gains[r] = gain
        if gain == 0 or abs(z) > edge:
            continue
        row = sums[z + edge]
        row[n_in] += gain
        spikes = net.spikes[n, net.word_at[layer] : net.word_at[layer] + words]
        for w in range(words):
            word = spikes[w]
            while word != _ZERO:
                low = word & (~word + _ONE)
                row[(w << 6) + _BIT[(low * _DE_BRUIJN) >> _TOP6]] += gain
                word ^= low
    return sums


@_fast
def score_readout(net, loss, rows, unit, steps, shift, first, last):
    """Scores (n_in + 1, moves) of moving each weight of logit ``unit``, and its bias, by each of ``steps``."""
    layer = net.sizes.size - 2
    out = np.zeros((net.sizes[layer] + 1, steps.size), dtype=np.int64)
    width = net.sizes[layer + 1]
    room, values = np.empty(width, dtype=np.int32), np.empty(steps.size, dtype=np.int64)
    half = (1 << shift) >> 1
    for r in range(first, last):
        n = rows[r]
        for k in range(width):
            room[k] = net.potentials[n, net.unit_at[layer] + k]
        logit = room[unit]
        for d in range(steps.size):
            room[unit] = logit + steps[d]
            moved = sample_loss(room, net.targets[n], loss.table, loss.scale, loss.margin)
            values[d] = (moved - net.losses[n] + half) >> shift
        _add_to_inputs(net, n, layer, values, out)
    return out


@_fast
def _shift_of(net, n, layer, inputs, steps, bias_step):
    """How far moving the weights of ``inputs`` by ``steps``, and the bias, moves the potential of a unit."""
    moved = bias_step
    for k in range(inputs.size):
        if _spiked(net, n, layer, inputs[k]):
            moved += steps[k]
    return moved


@_fast
def try_moves(net, loss, rows, layer, unit, inputs, steps, bias_step, gains, step_curve, shift, first, last):
    """Change of the objective over ``rows`` if the weights of ``inputs`` moved by ``steps`` and the bias by
    its own.

    All together, exactly; in units of the scores. ``step_curve`` is P at -R .. R, constant beyond; ``gains`` are
    ``gather_gains``'. Neither is used for the readout.
    """
    top = net.sizes.size - 2
    edge = (step_curve.size - 1) // 2
    room = np.empty(net.sizes[top + 1], dtype=np.int32)
    half = (1 << shift) >> 1
    total = np.int64(0)
    for r in range(first, last):
        n = rows[r]
        moved = _shift_of(net, n, layer, inputs, steps, bias_step)
        if moved == 0:
            continue
        if layer < top:
            z = np.int64(net.potentials[n, net.unit_at[layer] + unit])
            before = step_curve[min(max(z, -edge), edge) + edge]
            after = step_curve[min(max(z + moved, -edge), edge) + edge]
            total += gains[r] * (after - before)
            continue
        for k in range(room.size):
            room[k] = net.potentials[n, net.unit_at[layer] + k]
        room[unit] += moved
        changed = sample_loss(room, net.targets[n], loss.table, loss.scale, loss.margin)
        total += (changed - net.losses[n] + half) >> shift
    return total


@_fast
def move_unit(net, loss, layer, unit, inputs, steps, bias_step, first, last):
    """Move weights of a unit on samples ``first`` to ``last``; return the change of their losses' sum, in
    quanta.

    Potentials, spikes and losses follow; ``net.weights`` is the caller's to change.
    """
    top = net.sizes.size - 2
    width = np.max(net.sizes)
    flips, signs = np.empty(width, dtype=np.int64), np.empty(width, dtype=np.int64)
    room = np.empty(width, dtype=np.int32)
    column = net.unit_at[layer] + unit
    total = np.int64(0)
    for n in range(first, last):
        moved = _shift_of(net, n, layer, inputs, steps, bias_step)
        if moved == 0:
            continue
        before = net.potentials[n, column]
        after = before + moved
        net.potentials[n, column] = after
        if layer == top:
            logits = room[: net.sizes[top + 1]]
            for k in range(logits.size):
                logits[k] = net.potentials[n, net.unit_at[layer] + k]
            new = sample_loss(logits, net.targets[n], loss.table, loss.scale, loss.margin)
        elif (before > 0) != (after > 0):
            _toggle(net, n, layer, unit)
            flips[0], signs[0] = unit, 1 if after > 0 else -1
            new = _propagate(net, loss, n, layer, 1, flips, signs, room, True)
        else:
            continue
        total += new - net.losses[n]
        net.losses[n] = new
    return total
