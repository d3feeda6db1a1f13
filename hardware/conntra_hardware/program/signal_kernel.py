"""The loops of ``signal_encoding``: a filter bank in integers, and send-on-delta.

The transform is radix 2, decimation in time (Cooley and Tukey, 1965), with factors of 14 binary places that are rounded
after each product. All of it fits 64 bits for samples of 16 bits and frames of up to 2^12.
"""

from __future__ import annotations

import numpy as np

from conntra_hardware.base.jit import jit

__all__ = ["FACTOR_BITS", "WINDOW_BITS", "band_energies", "send_on_delta"]

WINDOW_BITS, FACTOR_BITS = 12, 14

_fast = jit


@_fast
def _transform(re, im, cosine, sine):
    """Fourier transform in place; ``re`` and ``im`` stand in bit-reversed order."""
    n, half, unit = re.size, 1, 1 << (FACTOR_BITS - 1)
    while half < n:
        stride = n // (2 * half)
        for first in range(0, n, 2 * half):
            for k in range(half):
                a, b = first + k, first + k + half
                c, s = cosine[k * stride], sine[k * stride]
                x = (c * re[b] + s * im[b] + unit) >> FACTOR_BITS
                y = (c * im[b] - s * re[b] + unit) >> FACTOR_BITS
                re[b], im[b] = re[a] - x, im[a] - y
                re[a], im[a] = re[a] + x, im[a] + y
        half *= 2


@_fast
def band_energies(x, hop, hops, window, order, cosine, sine, first, weights, shift, out):
    """``out`` (n, steps, bands): the energy of ``x`` (n, samples) in each band, of ``hops`` frames a step.

    A frame begins every ``hop`` samples, and goes beyond the last one as if it were followed by silence. ``weights``
    (bands, width) are those of the transform's power from line ``first`` (bands,) on.
    """
    frame = window.size
    re, im = np.empty(frame, np.int64), np.empty(frame, np.int64)
    power = np.empty(frame // 2 + 1, np.int64)
    for n in range(x.shape[0]):
        for step in range(out.shape[1]):
            out[n, step] = 0
            for h in range(hops):
                start = (step * hops + h) * hop
                for i in range(frame):
                    at = start + order[i]
                    re[i] = x[n, at] * window[order[i]] if at < x.shape[1] else 0
                    im[i] = 0
                _transform(re, im, cosine, sine)
                for k in range(power.size):
                    a, b = re[k] >> WINDOW_BITS, im[k] >> WINDOW_BITS
                    power[k] = (a * a + b * b) >> shift
                for band in range(out.shape[2]):
                    total = np.int64(0)
                    for k in range(weights.shape[1]):
                        if first[band] + k < power.size:
                            total += weights[band, k] * power[first[band] + k]
                    out[n, step, band] += total


@_fast
def send_on_delta(values, delta, out):
    """``out`` (n, steps, 2 * width): whether ``values`` (n, steps, width) rose, then fell, by ``delta`` since a spike.

    What has been sent moves by whole deltas, as many as it takes; a value that stays within sends nothing.
    """
    width = values.shape[2]
    for n in range(values.shape[0]):
        for j in range(width):
            sent = values[n, 0, j]
            for step in range(values.shape[1]):
                moved = values[n, step, j] - sent
                up, down = moved >= delta[j], -moved >= delta[j]
                out[n, step, j], out[n, step, width + j] = up, down
                if up:
                    sent += moved // delta[j] * delta[j]
                elif down:
                    sent -= -moved // delta[j] * delta[j]
