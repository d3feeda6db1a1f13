"""A network as one C99 header: packed weights and an integer forward pass, without any dependency.

The header is of the kind that is included anywhere for its declarations, and once with PREFIX_IMPLEMENTATION defined.
Spikes are bits, 32 to a word. Weights stand as bit planes ("bits": ternary 2 bits each, a sum is a few ANDs and
population counts) or as digits, as in model files ("digits": ternary five to a byte, slower).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons.registers import HALF
from conntra_neuro.exchange.c.encoders import FEATURES, EncoderCode, encoder_code, feature_type
from conntra_neuro.exchange.c.layers import PACKINGS, Code
from conntra_neuro.exchange.c.past import Ring, arrivals, own_arrivals, rings, source_of
from conntra_neuro.exchange.c.plan import Buffer, Plan, plan_of, words
from conntra_neuro.exchange.c.runtime import functions
from conntra_neuro.network import DiscreteNetwork
from conntra_neuro.network.layers import Flatten

__all__ = ["FEATURES", "Header", "c_header", "details"]


@dataclass(frozen=True)
class Header:
    """The text, and the bytes it should take: tables in flash (``weights``, ``biases``, ``encoder``), and RAM."""

    text: str
    weights: int
    biases: int
    encoder: int
    ram: int


def c_header(network: DiscreteNetwork, name: str = "net", packing: str = "bits", features: str | None = None) -> Header:
    """Return ``network`` as a C99 header with the prefix ``name``.

    packing   "bits" or "digits"
    features  the type of raw features, where the network has an encoder: for whole numbers of that range (or floats)
              the spikes are those of Python's doubles; None is "double", or "int16" for the samples of signals
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name):
        raise InputError(f"export to C: name {name!r}; letters, digits and _ expected, no digit first")
    if packing not in PACKINGS:
        raise InputError(f"export to C: packing {packing!r}: unknown; allowed: {', '.join(PACKINGS)}")
    features = feature_type(network.encoder, features)
    plan = plan_of(network)
    code = Code(name, packing, len(network.layers) - 1)
    kept = rings(network, plan.buffers)
    if -1 in kept:
        code.lines += code.keep(kept[-1], "spikes")
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, Flatten):
            _layer(code, network, plan, index, kept)
    if kept:
        code.lines.append(f"    {name}_row[0]++;")
    encoder = network.encoder
    coded = EncoderCode([], [], 0, []) if encoder is None else encoder_code(encoder, name, features)
    declarations = _declarations(network, plan, name, features)
    static, ram = _memory(network, plan, code)
    body = [
        f"#endif /* {name.upper()}_H */",
        "",
        f"#ifdef {name.upper()}_IMPLEMENTATION",
        functions(code.used, name),
        *code.tables,
        *coded.tables,
        *static,
        *coded.static,
        *_forward(network, code, name),
        *coded.functions,
        *_predict(network, name),
        f"#endif /* {name.upper()}_IMPLEMENTATION */",
        "",
    ]
    return Header(
        "\n".join([*declarations, *body]),
        code.weight_bytes,
        code.bias_bytes,
        coded.table_bytes,
        ram + coded.static_bytes,
    )


def _layer(code: Code, network: DiscreteNetwork, plan: Plan, index: int, kept: dict[int, Ring]) -> None:
    layer = network.layers[index]
    source, given = kept.get(source_of(network, index)), plan.buffers[index - 1]
    first, *others = arrivals(f"{index}", layer)
    joined: list[str] = []
    for arrival in others:
        joined += code.arrival(arrival, given, _at(code, given), source, "NAME_sums[i] += z;")
    for arrival in own_arrivals(network, index):
        joined += code.arrival(arrival, plan.buffers[index], "y", kept[index], "NAME_sums[i] += z;")
    for number, residual in enumerate(network.residuals):
        if residual.target == index:
            skipped, at = plan.buffers[residual.source], _at(code, plan.buffers[residual.source])
            if residual.connection is None:
                joined += code.identity(skipped, layer.n_out, residual.scale, at)
            else:
                joined += code.term(f"r{number}", residual.connection, skipped, at, "NAME_sums[i] += z;")
    code.layer(index, layer, (first, given, _at(code, given), source), plan.buffers[index], joined, kept.get(index))


def _at(code: Code, buffer: Buffer) -> str:
    if buffer.offset is None:
        return "spikes"
    place = f"{code.name}_arena + {buffer.offset}"
    return place if buffer.binary else f"(const int32_t *)({place})"


def _declarations(network: DiscreteNetwork, plan: Plan, name: str, features: str) -> list[str]:
    upper, encoder = name.upper(), network.encoder
    sizes = {
        "N_INPUTS": network.n_in,
        "INPUT_WORDS": words(network.n_in),
        "N_STEPS": network.steps,
        "N_CLASSES": network.n_classes,
    } | ({} if encoder is None else {"N_FEATURES": encoder.n_features})
    lines = [
        f"/* {name}: a network of conntra-neuro, {network.n_weights} weights, in C99 without dependencies.",
        " *",
        f" * Define {upper}_IMPLEMENTATION before including this in one source file; include it elsewhere as it is.",
        " * Spikes are bits: input i is bit i % 32 of word i / 32. Functions share static memory: one thread only.",
        " */",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "#include <limits.h>",
        "#include <stdint.h>",
        "#if INT_MAX < 2147483647",
        f'#error "{name}: int has fewer than 32 bits here"',
        "#endif",
        *(f"#define {upper}_{key} {value}" for key, value in sizes.items()),
    ]
    if network.value is not None:
        value = network.value
        lines.append(f"/* what logits[0] stands for: {upper}_OFFSET + {upper}_SCALE * logits[0] */")
        lines += [f"#define {upper}_OFFSET {value.offset!r}", f"#define {upper}_SCALE {value.scale!r}"]
    if network.labels is not None:
        lines.append(f"/* classes in order: {_comment(', '.join(map(str, network.labels)))} */")
    whole = f"{upper}_N_STEPS * {upper}_INPUT_WORDS" if network.steps > 1 else f"{upper}_INPUT_WORDS"
    lines += [
        f"typedef {'int64_t' if plan.wide else 'int32_t'} {name}_sum;",
        f"/* Write the {network.n_classes} logits of {whole} words of spikes.",
        " * Return 0, or -1 where a graded spike exceeds 24 bits. */",
        f"int {name}_forward(const uint32_t *spikes, {name}_sum *logits);",
    ]
    if encoder is None:
        lines += [
            "/* The class of those spikes: the largest logit, the first where several are; -1 as above. */",
            f"int {name}_predict(const uint32_t *spikes);",
        ]
    else:
        lines += [
            f"/* The input spikes of {encoder.n_features} raw features, time steps: {encoder.steps}. */",
            f"typedef {_c_type(features)} {name}_feature;",
            f"void {name}_encode(const {name}_feature *x, uint32_t *spikes);",
            "/* The class of raw features: the largest logit, the first where several are; -1 as above. */",
            f"int {name}_predict(const {name}_feature *x);",
        ]
    return lines


def _memory(network: DiscreteNetwork, plan: Plan, code: Code) -> tuple[list[str], int]:
    """Return the static variables, and the bytes of RAM that they take."""
    name, wide = code.name, 8 if plan.wide else 4
    lines, ram = [], 0
    for variable, count in (("arena", plan.arena), ("patch", code.patch_words), ("late", code.late_words)):
        if count:
            lines.append(f"static uint32_t {name}_{variable}[{count}];")
            ram += 4 * count
    kept = {"sums": ("NAME_sum", code.sums)} | code.state
    for variable, (kind, count) in kept.items():
        if count:
            lines.append(f"static {kind.replace('NAME', name)} {name}_{variable}[{count}];")
            ram += {"NAME_sum": wide, "int32_t": 4, "uint32_t": 4, "uint8_t": 1}[kind] * count
    if network.encoder is not None:
        lines.append(f"static uint32_t {name}_spikes[{network.encoder.steps * words(network.n_in)}];")
        ram += 4 * network.encoder.steps * words(network.n_in)
    return lines, ram


def _forward(network: DiscreteNetwork, code: Code, name: str) -> list[str]:
    resets = [
        line
        for variable, (_, size) in code.state.items()
        for line in (f"    for (i = 0; i < {size}; i++)", f"        {name}_{variable}[i] = 0;")
    ]
    last = network.layers[-1].neuron
    least = -HALF + 1 if last is not None and last.facts.read == "max" else 0
    return [
        f"static int {name}_step(const uint32_t *spikes, {name}_sum *logits)",
        "{",
        "    int failed = 0;",
        *code.lines,
        "    return failed;",
        "}",
        f"static void {name}_begin({name}_sum *logits)",
        "{",
        "    int i;",
        f"    for (i = 0; i < {network.n_classes}; i++)",
        f"        logits[i] = {least};",
        *resets,
        "}",
        f"static int {name}_run(const uint32_t *spikes, int stride, {name}_sum *logits)",
        "{",
        "    int t, failed = 0;",
        f"    {name}_begin(logits);",
        f"    for (t = 0; t < {network.steps}; t++)",
        f"        if ({name}_step(spikes + t * stride, logits))",
        "            failed = -1;",
        "    return failed;",
        "}",
        f"int {name}_forward(const uint32_t *spikes, {name}_sum *logits)",
        "{",
        f"    return {name}_run(spikes, {words(network.n_in)}, logits);",
        "}",
    ]


def _predict(network: DiscreteNetwork, name: str) -> list[str]:
    if network.encoder is None:
        parameter, run = "const uint32_t *spikes", f"{name}_run(spikes, {words(network.n_in)}, logits)"
        encode = []
    else:
        # One time step of spikes is there for every step.
        stride = words(network.n_in) if network.encoder.steps > 1 else 0
        parameter, run = f"const {name}_feature *x", f"{name}_run({name}_spikes, {stride}, logits)"
        encode = [f"    {name}_encode(x, {name}_spikes);"]
    return [
        f"int {name}_predict({parameter})",
        "{",
        f"    {name}_sum logits[{network.n_classes}];",
        "    int i, best = 0;",
        *encode,
        f"    if ({run})",
        "        return -1;",
        f"    for (i = 1; i < {network.n_classes}; i++)",
        "        if (logits[i] > logits[best])",
        "            best = i;",
        "    return best;",
        "}",
    ]


def _c_type(features: str) -> str:
    return features if features in ("double", "float") else f"{features}_t"


def _comment(text: str) -> str:
    """Return text that cannot end a comment, nor hold what a C compiler warns of."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in "*/\\?" else "_" for c in text)
    return plain[:1000]


def details(header: Header) -> dict[str, Any]:
    """Return what an export tells of the header: bytes by formula."""
    tables = header.weights + header.biases + header.encoder
    return {
        "flash_tables_bytes": tables,
        "weights_bytes": header.weights,
        "biases_bytes": header.biases,
        "encoder_bytes": header.encoder,
        "ram_bytes": header.ram,
    }
