"""The C statements of one layer: loops over its sums, and what its neurons make of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import IntArray
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.weight_packing import digits_per_byte, pack
from conntra_hardware.neurons import FORGETS, FRACTION_BITS, GRADED_MAX, Facts, Parameter, row_for, values
from conntra_hardware.program.convolution import Geometry
from conntra_neuro.exchange.c.past import Arrival, Ring
from conntra_neuro.exchange.c.plan import Buffer, words
from conntra_neuro.network.layers import Conv2d, Dense, Layer, MaxPool, SumPool

__all__ = ["PACKINGS", "Code", "Given", "table"]

PACKINGS = ("bits", "digits")

Given: TypeAlias = tuple[Arrival, Buffer, str, "Ring | None"]
"""What arrives, the outputs that it is of, where those of this step stand, and the ring of the ones before."""


class Code:
    """Tables, statements and functions as they are emitted, under the prefix ``name``."""

    def __init__(self, name: str, packing: str, last: int) -> None:
        self.name, self.packing, self.last = name, packing, last
        self.tables: list[str] = []
        self.lines: list[str] = []
        self.used: set[str] = set()
        self.patch_words = self.late_words = self.sums = self.weight_bytes = self.bias_bytes = 0
        self.kept = False  # whether the last layer's spikes are looked back at, too
        self.state: dict[str, tuple[str, int]] = {}  # a static array's type and length, all 0 as a sample begins

    def layer(
        self, index: int, layer: Layer, given: Given, out: Buffer, joined: Iterable[str], ring: Ring | None
    ) -> None:
        """Emit layer ``index``, to which the first of ``given`` arrives; the last one's spikes are counted in
        ``logits``.

        ``joined`` are the statements of all else that arrives, which add to ``sums``; ``ring`` keeps its outputs.
        """
        joined = list(joined)
        self.kept = index == self.last and ring is not None
        self.lines += [f"    {{ /* layer {index}: {layer!r} */", *self._output(index, layer, out)]
        self.lines += _indented(["NAME_sum z;", "int i;"], 2, self.name)
        sink = self._sink(index, layer, out)
        if joined:
            self.sums = max(self.sums, layer.n_out)
            self.lines += self.arrival(*given, "NAME_sums[i] = z;", biased=not _leaks(layer))
            self.lines += joined
            loop = [f"for (i = 0; i < {layer.n_out}; i++) {{", f"    z = {self.name}_sums[i];"]
            self.lines += [*_indented(loop, 2), *_indented(sink, 3, self.name), "        }"]
        else:
            self.lines += self.arrival(*given, *sink, biased=not _leaks(layer))
        if ring is not None:
            self.lines += self.keep(ring, "y")
        self.lines.append("    }")

    def keep(self, ring: Ring, at: str) -> list[str]:
        """Return the statements that put what stands ``at`` into the row of this step."""
        self.state |= {"row": ("int32_t", 1), ring.name: ("uint32_t", ring.words)}
        row = f"uint32_t *row = {ring.row('0')};"
        copy = f"row[j] = ((const uint32_t *){at})[j];"
        body = [
            "{",
            f"    {row}",
            "    int j;",
            f"    for (j = 0; j < {ring.buffer.words}; j++)",
            f"        {copy}",
            "}",
        ]
        return _indented(body, 2, self.name)

    def arrival(
        self, arrival: Arrival, source: Buffer, at: str, ring: Ring | None, *sink: str, biased: bool = True
    ) -> list[str]:
        """Return the statements that do ``sink`` with each sum z of what arrives; see ``term``.

        The ``source`` of this step stands ``at``; where it is of earlier ones, ``ring`` has it.
        """
        before: list[str] = []
        if arrival.longest:
            assert ring is not None
            at, before = self._earlier(arrival, ring)
        return self.term(arrival.key, arrival.layer, source, at, *sink, biased=biased, before=before)

    def _earlier(self, arrival: Arrival, ring: Ring) -> tuple[str, list[str]]:
        """Return where the outputs of earlier steps stand, and the statements that gather them."""
        cast = "" if ring.buffer.binary else "(const int32_t *)"
        if isinstance(arrival.lag, int):
            return f"{cast}({ring.row(str(arrival.lag))})", []
        self.late_words = max(self.late_words, ring.buffer.words)
        lag = self._parameter(f"lag{arrival.key}", arrival.lag)
        lines = ["int i;", f"for (i = 0; i < {ring.buffer.size}; i++) {{"]
        if ring.buffer.binary:
            lines.insert(1, f"{self._call('clear')}(NAME_late, {ring.buffer.words});")
            value = f"(int){self._call('bit')}({ring.row(lag)}, i)"
            lines.append(f"    {self._call('set')}(NAME_late, i, {value});")
        else:
            lines.append(f"    NAME_late[i] = ({ring.row(lag)})[i];")
        return f"{cast}NAME_late", [*lines, "}"]

    def identity(self, source: Buffer, size: int, scale: int, pointer: str) -> list[str]:
        """Return the statements that add ``scale`` times a source's outputs to ``sums``."""
        value = f"{self._call('bit')}(x, i)" if source.binary else "x[i]"
        body = [f"for (i = 0; i < {size}; i++)", f"    {self.name}_sums[i] += (NAME_sum)({scale}) * {value};"]
        return _indented(["{", f"    {_pointer(source)} = {pointer};", *_indented(body, 1), "}"], 2, self.name)

    def term(
        self,
        key: str,
        layer: Layer,
        given: Buffer,
        pointer: str,
        *sink: str,
        biased: bool = True,
        before: Sequence[str] = (),
    ) -> list[str]:
        """Return the statements that compute each sum z of ``layer`` and do ``sink`` with its index i.

        Unless ``biased``, without the layer's bias: that of leaky neurons goes to v, not through u. What is ``before``
        them puts the layer's input to ``pointer``.
        """
        if isinstance(layer, Dense):
            body = self._dense(key, layer, given, sink, biased)
        elif isinstance(layer, Conv2d):
            body = self._conv(key, layer, given, sink, biased)
        elif isinstance(layer, (SumPool, MaxPool)):
            body = self._pool(layer.geometry, given, sink)
        else:
            raise InputError(f"export to C: layer {key}: a layer of type {type(layer).__name__} has no C code")
        start = f"    {_pointer(given)} = {pointer};"
        gathered = ["    {", *_indented(before, 2), "    }"] if before else []
        return _indented(["{", *gathered, start, *_indented(body, 1), "}"], 2, self.name)

    def _dense(self, key: str, layer: Dense, given: Buffer, sink: tuple[str, ...], biased: bool) -> list[str]:
        n = layer.n_in
        expression, before = self._dot(key, layer.weight, layer.levels.values, given.binary, "x", n, "i")
        bias = self._bias(key, layer.bias, "i") if biased else ""
        return [
            *before,
            f"for (i = 0; i < {layer.n_out}; i++) {{",
            f"    z = {expression}{bias};",
            *_indented(sink, 1),
            "}",
        ]

    def _conv(self, key: str, layer: Conv2d, given: Buffer, sink: tuple[str, ...], biased: bool) -> list[str]:
        g = layer.geometry
        outer = g.out_channels // g.groups
        inner, rows, columns = g.kernel_shape[1:]
        n = inner * rows * columns
        row = "o" if g.groups == 1 else f"g * {outer} + o"
        expression, before = self._dot(key, layer.weight.reshape(len(layer.bias), n), layer.levels.values, given.binary,
                                       "patch", n, f"({row})")  # fmt: skip
        bias = self._bias(key, layer.bias, row) if biased else ""
        self.patch_words = max(self.patch_words, words(n) if given.binary else n)
        kind = "uint32_t" if given.binary else "int32_t"
        corner = f"p / {g.output_shape[2]} * {g.stride[0]} - {g.padding[0]}, "
        corner += f"p % {g.output_shape[2]} * {g.stride[1]} - {g.padding[1]}"
        sizes = ", ".join(map(str, (inner, *g.input_shape[1:], rows, columns, *g.dilation)))
        gather = f"{sizes}, {corner}, g * {inner}, patch"
        call = self._call("patch_bits" if given.binary else "patch_values")
        gather = f"{call}(x, {gather}" + (f", {words(n)});" if given.binary else ");")
        body = [
            f"for (o = 0; o < {outer}; o++) {{",
            f"    i = ({row}) * {g.positions} + p;",
            f"    z = {expression}{bias};",
            *_indented(sink, 1),
            "}",
        ]
        return [
            f"{kind} *patch = ({kind} *)NAME_patch;",
            "int p, g, o;",
            f"for (p = 0; p < {g.positions}; p++)",
            f"    for (g = 0; g < {g.groups}; g++) {{",
            *_indented([gather, *before, *body], 2),
            "    }",
        ]

    def _pool(self, g: Geometry, given: Buffer, sink: tuple[str, ...]) -> list[str]:
        _, height, width = g.input_shape
        value = f"{self._call('bit')}(x, at)" if given.binary else "x[at]"
        return [
            "int p, c, a, b;",
            f"for (c = 0; c < {g.out_channels}; c++)",
            f"    for (p = 0; p < {g.positions}; p++) {{",
            f"        const int top = p / {g.output_shape[2]} * {g.stride[0]} - {g.padding[0]};",
            f"        const int left = p % {g.output_shape[2]} * {g.stride[1]} - {g.padding[1]};",
            "        z = 0;",
            f"        for (a = top; a < top + {g.kernel[0]}; a++)",
            f"            for (b = left; b < left + {g.kernel[1]}; b++)",
            f"                if (a >= 0 && a < {height} && b >= 0 && b < {width}) {{",
            f"                    const int at = (c * {height} + a) * {width} + b;",
            f"                    z += {value};",
            "                }",
            f"        i = c * {g.positions} + p;",
            *_indented(sink, 2),
            "    }",
        ]

    def _dot(
        self, key: str, weight: IntArray, levels: tuple[int, ...], binary: bool, x: str, n: int, row: str
    ) -> tuple[str, list[str]]:
        """Return the expression of a row's sum, and the statements that have to come before the rows."""
        if self.packing == "digits":
            per_byte, base = digits_per_byte(len(levels)), max(len(levels), 2)
            packed = np.stack([pack(one, levels) for one in weight])
            self.weight_bytes += packed.nbytes + 4 * len(levels)
            self.tables.append(table("uint8_t", f"{self.name}_w{key}", packed.ravel()))
            self.tables.append(table("int32_t", f"{self.name}_l{key}", np.array(levels)))
            call = self._call("dot_digits" if binary else "dot_digits_values")
            at = f"NAME_w{key} + {row} * {packed.shape[1]}"
            return f"{call}({at}, NAME_l{key}, {x}, {n}, {base}u, {per_byte})", []
        low, step, planes = _coded(levels)
        packed = _bit_planes((weight.astype(np.int64) - low) // step, planes)
        self.weight_bytes += packed.nbytes
        self.tables.append(table("uint32_t", f"{self.name}_w{key}", packed.ravel()))
        call = self._call("dot_bits" if binary else "dot_bits_values")
        at = f"NAME_w{key} + {row} * {packed.shape[1]}"
        dot = f"{call}({at}, {x}, {words(n) if binary else n}, {planes})"
        scaled = dot if step == 1 else f"{step} * {dot}"
        if low == 0:
            return scaled, []
        counted = f"{self._call('ones')}({x}, {words(n)})" if binary else f"{self._call('total')}({x}, {n})"
        return f"{scaled} + base", [f"const NAME_sum base = ({low}) * {counted};"]

    def _bias(self, key: str, bias: IntArray, index: str) -> str:
        if not bias.any():
            return ""
        kind = _smallest(bias)
        self.bias_bytes += len(bias) * {"int8_t": 1, "int16_t": 2, "int32_t": 4}[kind]
        self.tables.append(table(kind, f"{self.name}_b{key}", bias))
        return f" + NAME_b{key}[{index}]"

    def _output(self, index: int, layer: Layer, out: Buffer) -> list[str]:
        kind = "uint32_t" if out.binary else "int32_t"
        if index == self.last:
            if not self.kept:
                return []
            self.state["last"] = kind, out.words
            lines = [f"        {kind} *y = {self.name}_last;"]
        else:
            lines = [f"        {kind} *y = ({kind} *)({self.name}_arena + {out.offset});"]
        if out.binary:
            lines.append(f"        {self._call('clear')}(y, {out.words});".replace("NAME", self.name))
        return lines

    def _sink(self, index: int, layer: Layer, out: Buffer) -> list[str]:
        neuron = layer.neuron
        if neuron is None:
            return ["y[i] = (int32_t)z;"]
        rows = {
            "readout": lambda: ["logits[i] += z;"],
            "threshold": lambda: [self._spike(index, "z > 0")],
            "graded": lambda: self._graded(index, neuron.facts),
            "multi threshold": lambda: self._multi_threshold(index, layer, neuron.facts),
            "integrating": lambda: self._integrating(index, layer, neuron.facts),
            "leaky": lambda: self._leaky(index, layer, neuron.facts),
            "leaky readout": lambda: self._leaky_readout(index, layer, neuron.facts),
        }
        return row_for(rows, neuron, f"export to C: layer {index} ({layer!r})", "use these, or another format")()

    def _spike(self, index: int, spike: str) -> str:
        """Return the statements that send a 0/1 ``spike`` on, or count it."""
        sent = f"{self._call('set')}(y, i, {spike});" if index != self.last or self.kept else ""
        return f"logits[i] += {spike}; {sent}".rstrip() if index == self.last else sent

    def _graded(self, index: int, facts: Facts) -> list[str]:
        shift = self._parameter(f"s{index}", facts.shift)
        if facts.ceiling == GRADED_MAX:
            too_large = [f"if (z > {GRADED_MAX})", "    failed = -1;"]
        else:
            ceiling = self._parameter(f"c{index}", facts.ceiling)
            too_large = [f"if (z > {ceiling})", f"    z = {ceiling};"]
        sent = ["logits[i] += z;"] * (index == self.last) + ["y[i] = (int32_t)z;"] * (index != self.last or self.kept)
        return [f"z = z > 0 ? z >> {shift} : 0;", *too_large, *sent]

    def _multi_threshold(self, index: int, layer: Layer, facts: Facts) -> list[str]:
        rows, at = np.array(facts.thresholds), ""
        if len(rows) > 1:
            places = layer.geometry.positions if isinstance(layer, Conv2d) else 1
            by_channel = rows.reshape(-1, places, rows.shape[1])
            alike = places > 1 and (by_channel == by_channel[:, :1]).all()
            rows = by_channel[:, 0] if alike else rows
            at = f"i / {places} * {rows.shape[1]} + " if alike else f"i * {rows.shape[1]} + "
        kind = _smallest(rows)
        self.bias_bytes += rows.size * {"int8_t": 1, "int16_t": 2, "int32_t": 4}[kind]
        self.tables.append(table(kind, f"{self.name}_t{index}", rows.ravel()))
        sent = "logits[i] += k;" if index == self.last else "y[i] = k;"
        # They rise: the first that is not exceeded is the last one looked at.
        search = [f"while (k < {rows.shape[1]} && z > NAME_t{index}[{at}k])", "    k++;"]
        return ["{", "    int k = 0;", *_indented([*search, sent], 1), "}"]

    def _integrating(self, index: int, layer: Layer, facts: Facts) -> list[str]:
        self.state[f"v{index}"] = "NAME_sum", layer.n_out
        v, threshold = f"NAME_v{index}[i]", self._parameter(f"t{index}", facts.least)
        after = "0" if facts.reset == "hard" else f"{v} - {threshold}"
        fired = [f"    {self._spike(index, '1')}", f"    {v} = {after};"]
        return [f"{v} += z;", f"if ({v} >= {threshold}) {{", *fired, "}"]

    def _leaky(self, index: int, layer: Layer, facts: Facts) -> list[str]:
        theta, v = values(facts.threshold or 0) << FRACTION_BITS, f"NAME_v{index}[i]"
        least = self._parameter(f"t{index}", theta + int(facts.strict))
        after = "0" if facts.reset == "hard" else f"{v} - {self._parameter(f'o{index}', theta)}"
        fired = [f"if ({v} >= {least}) {{", f"    {self._spike(index, '1')}", f"    {v} = {after};", "}"]
        current, charge = self._charged(index, layer, facts)
        if facts.refractory == 0:
            return [current, charge, *fired]
        waits = f"NAME_wait{index}[i]"
        self.state[f"wait{index}"] = "uint8_t", layer.n_out
        fired.insert(2, f"    {waits} = {self._parameter(f'r{index}', facts.refractory)};")
        return [current, f"if ({waits})", f"    {waits}--;", "else {", *_indented([charge, *fired], 1), "}"]

    def _leaky_readout(self, index: int, layer: Layer, facts: Facts) -> list[str]:
        v = f"NAME_v{index}[i]"
        read = f"if ({v} > logits[i])\n    logits[i] = {v};" if facts.read == "max" else f"logits[i] = {v};"
        return [*self._charged(index, layer, facts), *read.split("\n")]

    def _charged(self, index: int, layer: Layer, facts: Facts) -> tuple[str, str]:
        """Return the statement that takes u a step on, at the sum z, and the one that takes v on."""
        self.state[f"v{index}"] = "int32_t", layer.n_out
        keeps = FORGETS - values(facts.current_decay)
        kept = "0"
        if np.any(keeps):
            self.state[f"u{index}"] = "int32_t", layer.n_out
            kept = f"{self._call('decayed')}(NAME_u{index}[i], {self._parameter(f'c{index}', keeps)})"
        u = f"NAME_u{index}[i]" if np.any(keeps) else "const int32_t u"
        current = f"{u} = {self._call('current')}({kept}, z);"
        left = self._parameter(f"d{index}", FORGETS - values(facts.voltage_decay))
        v, u = f"NAME_v{index}[i]", u.rsplit(maxsplit=1)[-1]
        arriving = f"{u}{self._charge(index, layer)}"
        return current, f"{v} = {self._call('voltage')}({self._call('decayed')}({v}, {left}), {arriving});"

    def _charge(self, index: int, layer: Layer) -> str:
        """Return what a bias adds to v at each step; beyond 2^19 v stops at its end all the same."""
        if not isinstance(layer, (Dense, Conv2d)):
            return ""
        at = f"i / {layer.geometry.positions}" if isinstance(layer, Conv2d) else "i"
        bias = self._bias(f"{index}", np.clip(layer.bias, -(2**19), 2**19), at).removeprefix(" + ")
        return f" + 64 * (int32_t){bias}" if bias else ""

    def _parameter(self, key: str, value: Parameter | IntArray) -> str:
        """Return a number, or the element of a table of one a neuron."""
        if isinstance(value, int):
            return str(value)
        numbers = np.asarray(value, np.int64)
        kind = _smallest(numbers)
        self.bias_bytes += len(numbers) * {"int8_t": 1, "int16_t": 2, "int32_t": 4}[kind]
        self.tables.append(table(kind, f"{self.name}_{key}", numbers))
        return f"NAME_{key}[i]"

    def _call(self, function: str) -> str:
        self.used.add(function)
        return f"NAME_{function}"


def table(kind: str, name: str, numbers: npt.NDArray[np.generic]) -> str:
    """Return a C table."""
    if kind == "uint32_t":
        texts = [f"0x{int(v):08x}u" for v in numbers]
    elif kind in ("double", "float"):
        texts = [repr(float(v)) + ("f" if kind == "float" else "") for v in numbers]
    else:
        texts = [str(int(v)) for v in numbers]
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + len(text) < 110:
            lines[-1] += f" {text},"
        else:
            lines.append(f"    {text},")
    return "\n".join([f"static const {kind} {name}[{len(texts)}] = {{", *lines, "};"])


def _coded(levels: tuple[int, ...]) -> tuple[int, int, int]:
    """Return low, step and bits for which every level is low + step * (a number of so many bits)."""
    low = levels[0]
    step = int(np.gcd.reduce(np.array(levels) - low))
    return low, step, int((levels[-1] - low) // step).bit_length()


def _bit_planes(numbers: npt.NDArray[np.int64], planes: int) -> npt.NDArray[np.uint32]:
    """Return rows (n_out, words * planes): for each 32 inputs, one word a bit of their numbers."""
    rows, n = numbers.shape
    padded = np.zeros((rows, words(n) * 32), np.int64)
    padded[:, :n] = numbers
    bits = (padded.reshape(rows, -1, 1, 32) >> np.arange(planes)[:, None]) & 1
    return (bits << np.arange(32)).sum(axis=-1).astype(np.uint32).reshape(rows, -1)


def _leaks(layer: Layer) -> bool:
    return layer.neuron is not None and layer.neuron.facts.form in ("leaky", "leaky readout")


def _smallest(numbers: IntArray) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    for bits in (8, 16):
        if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return f"int{bits}_t"
    return "int32_t"


def _pointer(buffer: Buffer) -> str:
    return "const uint32_t *x" if buffer.binary else "const int32_t *x"


def _indented(lines: Iterable[str], depth: int, name: str | None = None) -> list[str]:
    return ["    " * depth + (line if name is None else line.replace("NAME", name)) for line in lines]
