"""``SignalEncoder`` in C: the same integers, from window to logarithm, of one recording at a time.

The loops are those of ``conntra_hardware.program.signal_kernel``; see there.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from conntra_hardware.program.signal_encoding import SignalEncoder, filter_bank, log_table
from conntra_hardware.program.signal_kernel import FACTOR_BITS, WINDOW_BITS
from conntra_neuro.exchange.c.layers import table
from conntra_neuro.exchange.c.plan import words

__all__ = ["signal_code"]

_BYTES = {"int16_t": 2, "uint16_t": 2, "int32_t": 4, "int64_t": 8}

_SHIFT = """
/* Shifted to the right, rounded down: what >> does with a negative number is the compiler's affair. */
static int64_t NAME_down(int64_t x, int bits)
{
    return x >= 0 ? x >> bits : ~(~x >> bits);
}
"""

_MEANS = """
static void NAME_analyse(const NAME_feature *x)
{
    int step, channel, i;
    for (step = 0; step < STEPS; step++)
        for (channel = 0; channel < CHANNELS; channel++) {
            const NAME_feature *at = x + (channel * STEPS + step) * PER_STEP;
            int64_t sum = 0;
            for (i = 0; i < PER_STEP; i++)
                sum += at[i];
            NAME_values[step * VALUES + channel] = (int32_t)(sum >= 0 ? sum / PER_STEP : ~(~sum / PER_STEP));
        }
}
"""

_BANK = """
static void NAME_transform(void)
{
    int half, first, k;
    for (half = 1; half < FRAME; half *= 2)
        for (first = 0; first < FRAME; first += 2 * half)
            for (k = 0; k < half; k++) {
                int a = first + k, b = a + half, at = k * (FRAME / (2 * half));
                int64_t c = NAME_cosine[at], s = NAME_sine[at];
                int64_t x = NAME_down(c * NAME_re[b] + s * NAME_im[b] + UNIT, FACTOR_BITS);
                int64_t y = NAME_down(c * NAME_im[b] - s * NAME_re[b] + UNIT, FACTOR_BITS);
                NAME_re[b] = NAME_re[a] - x;
                NAME_im[b] = NAME_im[a] - y;
                NAME_re[a] += x;
                NAME_im[a] += y;
            }
}
/* 256 times the logarithm to base 2 of an energy, 0 of 0. */
static int32_t NAME_log2(int64_t e)
{
    int high = 0;
    if (e < 1)
        e = 1;
    while (e >> high > 1)
        high++;
    return 256 * high + NAME_logs[(high >= 8 ? e >> (high - 8) : e << (8 - high)) & 255];
}
/* Add to NAME_energies those of the frame that begins at a sample; silence follows the last one. */
static void NAME_frame(const NAME_feature *x, int start)
{
    int i, k, band;
    for (i = 0; i < FRAME; i++) {
        int at = NAME_order[i];
        NAME_re[i] = start + at < SAMPLES ? (int64_t)x[start + at] * NAME_window[at] : 0;
        NAME_im[i] = 0;
    }
    NAME_transform();
    for (k = 0; k <= FRAME / 2; k++) {
        int64_t a = NAME_down(NAME_re[k], WINDOW_BITS), b = NAME_down(NAME_im[k], WINDOW_BITS);
        NAME_re[k] = (a * a + b * b) >> POWER_SHIFT;
    }
    for (band = 0; band < BANDS; band++)
        for (k = 0; k < WIDTH && NAME_first[band] + k <= FRAME / 2; k++)
            NAME_energies[band] += NAME_bands[band * WIDTH + k] * NAME_re[NAME_first[band] + k];
}
static void NAME_analyse(const NAME_feature *x)
{
    int step, channel, hop, band;
    for (step = 0; step < STEPS; step++)
        for (channel = 0; channel < CHANNELS; channel++) {
            for (band = 0; band < BANDS; band++)
                NAME_energies[band] = 0;
            for (hop = 0; hop < HOPS; hop++)
                NAME_frame(x + channel * SAMPLES, (step * HOPS + hop) * HOP);
            for (band = 0; band < BANDS; band++)
                NAME_values[step * VALUES + channel * BANDS + band] = NAME_log2(NAME_energies[band]);
        }
RELATIVE}
"""

_RELATIVE = """    {
        int32_t largest = NAME_values[0];
        for (step = 1; step < STEPS * VALUES; step++)
            if (NAME_values[step] > largest)
                largest = NAME_values[step];
        for (step = 0; step < STEPS * VALUES; step++)
            NAME_values[step] -= largest;
    }
"""

_ENCODE = """
static void NAME_spike(uint32_t *spikes, int step, int i)
{
    spikes[step * WORDS + (i >> 5)] |= (uint32_t)1 << (i & 31);
}
void NAME_encode(const NAME_feature *x, uint32_t *spikes)
{
    int step, i;
    for (i = 0; i < STEPS * WORDS; i++)
        spikes[i] = 0;
    NAME_analyse(x);
    for (step = 0; step < STEPS; step++)
        for (i = 0; i < COUNT; i++) {
CODE        }
}
"""

_CODES = {
    "levels": """            if (NAME_values[step * VALUES + i % VALUES] > NAME_levels[i])
                NAME_spike(spikes, step, i);
""",
    "crossings": """            int32_t value = NAME_values[step * VALUES + i % VALUES];
            int32_t before = NAME_values[(step ? step - 1 : 0) * VALUES + i % VALUES];
            if (value > NAME_levels[i] && !(before > NAME_levels[i]))
                NAME_spike(spikes, step, i);
            if (before > NAME_levels[i] && !(value > NAME_levels[i]))
                NAME_spike(spikes, step, COUNT + i);
""",
    "delta": """            int32_t delta = NAME_levels[i], moved;
            if (step == 0)
                NAME_sent[i] = NAME_values[i];
            moved = NAME_values[step * VALUES + i] - NAME_sent[i];
            if (moved >= delta)
                NAME_spike(spikes, step, i);
            else if (-moved >= delta)
                NAME_spike(spikes, step, COUNT + i);
            NAME_sent[i] += moved / delta * delta;
""",
}


def signal_code(encoder: SignalEncoder, name: str) -> tuple[list[str], list[str], int, list[str], int]:
    """Return tables, functions, bytes of the tables, static memory, and its bytes."""
    c = encoder.coding
    # Values stay below 2^17 in magnitude: what is beyond 2^30 is beyond them all the same, and differences fit.
    kept = np.clip(encoder.levels_of, -(2**30), 2**30)
    tables: dict[str, tuple[str, Any]] = {"levels": ("int32_t", kept.ravel())}
    static = {"values": ("int32_t", c.steps * c.values)} | (
        {"sent": ("int32_t", c.values)} if c.code == "delta" else {}
    )
    sizes = {"STEPS": c.steps, "CHANNELS": c.channels, "PER_STEP": c.per_step, "VALUES": c.values}
    sizes |= {"WORDS": words(encoder.n_out), "COUNT": c.levels * c.values}
    text = _MEANS
    if c.bands:
        window, order, cosine, sine, first, weights, shift = filter_bank(c)
        tables |= {"window": ("int16_t", window), "order": ("uint16_t", order), "cosine": ("int16_t", cosine)}
        tables |= {"sine": ("int16_t", sine), "first": ("uint16_t", first), "bands": ("uint16_t", weights.ravel())}
        tables |= {"logs": ("uint16_t", log_table())}
        static |= {"re": ("int64_t", c.frame), "im": ("int64_t", c.frame), "energies": ("int64_t", c.bands)}
        sizes |= {"SAMPLES": c.steps * c.per_step, "FRAME": c.frame, "HOPS": c.hops, "HOP": c.per_step // c.hops}
        sizes |= {"BANDS": c.bands, "WIDTH": weights.shape[1], "POWER_SHIFT": shift, "WINDOW_BITS": WINDOW_BITS}
        sizes |= {"FACTOR_BITS": FACTOR_BITS, "UNIT": 1 << (FACTOR_BITS - 1)}
        text = _SHIFT + _BANK.replace("RELATIVE", _RELATIVE if c.relative else "")
    text += _ENCODE.replace("CODE", _CODES[c.code])
    defines = [f"#define {name.upper()}_S_{key} {value}" for key, value in sizes.items()]
    text = re.sub(rf"\b({'|'.join(sizes)})\b", lambda found: f"{name.upper()}_S_{found[0]}", text)
    return (
        [*defines, *(table(kind, f"{name}_{key}", numbers) for key, (kind, numbers) in tables.items())],
        [text.replace("NAME", name)],
        sum(_BYTES[kind] * len(numbers) for kind, numbers in tables.values()),
        [f"static {kind} {name}_{key}[{count}];" for key, (kind, count) in static.items()],
        sum(_BYTES[kind] * count for kind, count in static.values()),
    )
