"""A network as C on this machine: time of one inference, and flash against the same network in float32.

    python tests/benchmarks/bench_c.py [MODEL or DATA ...] [--features uint8] [--cross arm-none-eabi-gcc]

MODEL is trained before, as by ``conntra train digits --layers 256 --out digits.conntra``; on DATA, or on digits where
there is neither, a network of that shape is trained here. Beside the generated code runs the plainest float32 network
in C, loops over the same weights as floats: times are processor times, medians of nine runs, ratios are of the two,
side by side. Prints a table in Markdown; --cross is a compiler that counts the code for a Cortex-M0+, which is left out
where there is none.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import conntra_neuro as cn
from conntra_neuro.exchange.c.measure import measure
from conntra_neuro.exchange.c.tables import table
from conntra_neuro.exchange.c.writer import c_header

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
import markdown_tables

_ROUNDS = 9
_CORTEX = "-mcpu=cortex-m0plus -mthumb -ffreestanding"

_MAIN = """
#include <stdio.h>
#include <time.h>
#define NET_IMPLEMENTATION
#include "net.h"
#include "float.h"
static const uint32_t inputs[N][NET_INPUT_WORDS] = {INPUTS};
static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}
int main(void)
{
    static float x[N][NET_N_INPUTS];
    net_sum logits[NET_N_CLASSES];
    float floats[NET_N_CLASSES];
    double start, integer = 0, real = 0;
    long check = 0, round, i, k;
    for (k = 0; k < N; k++)
        for (i = 0; i < NET_N_INPUTS; i++)
            x[k][i] = (float)((inputs[k][i / 32] >> (i % 32)) & 1u);
    for (round = 0; round < ROUNDS; round++) {
        start = seconds();
        for (k = 0; k < N; k++) {
            net_forward(inputs[k], logits);
            check += (long)logits[0];
        }
        integer += seconds() - start;
        start = seconds();
        for (k = 0; k < N; k++) {
            float_forward(x[k], floats);
            check -= (long)floats[0];
        }
        real += seconds() - start;
    }
    printf("%.9g %.9g %ld\\n", integer / ROUNDS / N, real / ROUNDS / N, check);
    return 0;
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=["digits"])
    parser.add_argument("--features", default="uint8")
    parser.add_argument("--cross", default="arm-none-eabi-gcc")
    chosen = parser.parse_args()
    cross = f"{chosen.cross} {_CORTEX}" if shutil.which(chosen.cross) else None
    rows = [row for model in chosen.models for row in compared(model, chosen.features, cross)]
    head = "network|packing|flash, x86-64|flash, Cortex-M0+|RAM|time of float32 : time"
    print(markdown_tables.as_markdown(head, rows))


def compared(model: str, features: str, cross: str | None) -> Iterator[tuple[object, ...]]:
    """Train or load a network, and return the cells of it in float32 and in either packing."""
    network = cn.load(model) if Path(model).is_file() else _trained(model)
    assert isinstance(network, cn.DiscreteNetwork)
    assert all(isinstance(layer, cn.Dense) for layer in network.layers), "dense networks only"
    name = "-".join(map(str, (network.n_in, *(layer.n_out for layer in network.layers))))
    reference = float_header(network)
    as_float = measure(f"#include <stdint.h>\n{reference}", "net", "cc")["flash_measured_bytes"]
    yield name, "float32", as_float, "", "", "1"
    for packing in ("bits", "digits"):
        header = c_header(network, packing=packing, features=features)
        counted = measure(header.text, "net", "cc")
        flash, ram = counted["flash_measured_bytes"], counted["ram_measured_bytes"]
        there = measure(header.text, "net", cross)["flash_measured_bytes"] if cross else ""
        ours, theirs = timed(network, header.text, reference)
        yield name, packing, flash, there, ram, f"{theirs / ours:.1f}"


def _trained(data: str) -> cn.DiscreteNetwork:
    return cn.train(cn.load_dataset(data), layers=[256], seed=0, shift=0).network


def timed(network: cn.DiscreteNetwork, header: str, reference: str) -> tuple[float, float]:
    """Return the seconds of one inference, medians, of the generated code and of float32."""
    rng = np.random.default_rng(0)
    n = 50
    spikes = (rng.random((n, network.n_in)) < 0.3).astype(np.uint8)
    padded = np.zeros((n, -(-network.n_in // 32) * 32), np.uint8)
    padded[:, : network.n_in] = spikes
    words = np.packbits(padded, axis=1, bitorder="little").view("<u4")
    rows = ", ".join("{" + ", ".join(f"0x{v:x}u" for v in row) + "}" for row in words)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "net.h").write_text(header)
        Path(folder, "float.h").write_text(reference)
        text = _MAIN.replace("INPUTS}", rows + "}").replace("[N]", f"[{n}]").replace("ROUNDS", "100")
        Path(folder, "main.c").write_text(text.replace("k < N;", f"k < {n};").replace("/ N,", f"/ {n},"))
        subprocess.run(["cc", "-std=c11", "-O2", "main.c", "-o", "main"], cwd=folder, check=True)
        runs = [
            subprocess.run(["./main"], cwd=folder, check=True, capture_output=True, text=True) for _ in range(_ROUNDS)
        ]
    found = np.array([run.stdout.split() for run in runs], float)
    assert (found[:, 2] == 0).all(), "the two networks differ"
    return statistics.median(found[:, 0]), statistics.median(found[:, 1])


def float_header(network: cn.DiscreteNetwork) -> str:
    """Return the same network as C loops over float32 weights."""
    lines, source = [], "x"
    body = ["void float_forward(const float *x, float *y)", "{", "    int o, i;"]
    for index, layer in enumerate(network.layers):
        assert isinstance(layer, cn.Dense)
        last = index == len(network.layers) - 1
        lines += [table("float", f"fw{index}", layer.weight.ravel()), table("float", f"fb{index}", layer.bias)]
        target = "y" if last else f"h{index}"
        if not last:
            lines.append(f"static float h{index}[{layer.n_out}];")
        body += [
            f"    for (o = 0; o < {layer.n_out}; o++) {{",
            f"        float z = fb{index}[o];",
            f"        for (i = 0; i < {layer.n_in}; i++)",
            f"            z += fw{index}[o * {layer.n_in} + i] * {source}[i];",
            f"        {target}[o] = {'z' if last else 'z > 0 ? 1.0f : 0.0f'};",
            "    }",
        ]
        source = target
    prototype = "void float_forward(const float *x, float *y);"
    return "\n".join([prototype, *lines, *body, "}", ""])


if __name__ == "__main__":
    main()
