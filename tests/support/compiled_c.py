"""Generated C, compiled with warnings as errors and run: logits and classes as text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from conntra_neuro.exchange.c.measure import FLAGS
from conntra_neuro.exchange.c.writer import c_header
from conntra_neuro.network import DiscreteNetwork

_MAIN = """
static void run_NAME(void)
{
    static uint32_t x[NAME_N_STEPS * NAME_INPUT_WORDS];
    NAME_sum logits[NAME_N_CLASSES];
    int n, i, status;
    if (fread(&n, 4, 1, stdin) != 1)
        exit(3);
    while (n--) {
        if (fread(x, 4, NAME_N_STEPS * NAME_INPUT_WORDS, stdin) != NAME_N_STEPS * NAME_INPUT_WORDS)
            exit(4);
        status = NAME_forward(x, logits);
        for (i = 0; i < NAME_N_CLASSES; i++)
            printf("%lld ", (long long)logits[i]);
        printf("%d %d\\n", status, NAME_predict(x));
    }
}
"""


def words_of(spikes: np.ndarray) -> np.ndarray:
    """Return spikes (..., n_in) as words of 32 bits."""
    bits = np.packbits(spikes.astype(np.uint8), axis=-1, bitorder="little")
    padded = np.zeros((*bits.shape[:-1], -(-spikes.shape[-1] // 32) * 4), np.uint8)
    padded[..., : bits.shape[-1]] = bits
    return padded.view("<u4")


def run_all(networks: list[DiscreteNetwork], samples: list[np.ndarray], folder: Path, packing: str) -> list[np.ndarray]:
    """Return for each network, compiled into one program, rows (samples, classes + 2): logits, status, class."""
    headers, mains, data = [], [], b""
    for number, (network, sample) in enumerate(zip(networks, samples, strict=True)):
        name = f"net{number}"
        Path(folder, f"{name}.h").write_text(c_header(network, name, packing).text)
        headers.append(f'#define {name.upper()}_IMPLEMENTATION\n#include "{name}.h"')
        headers += [
            f"#define {name}_{macro} {name.upper()}_{macro}" for macro in ("N_STEPS", "INPUT_WORDS", "N_CLASSES")
        ]
        mains.append(_MAIN.replace("NAME", name))
        data += np.int32(len(sample)).tobytes() + words_of(sample).tobytes()
    calls = " ".join(f"run_net{number}();" for number in range(len(networks)))
    main = f"int main(void) {{ {calls} return 0; }}"
    text = "\n".join(["#include <stdio.h>", "#include <stdlib.h>", *headers, *mains, main])
    printed = compile_and_run(text, folder, data).splitlines()
    found, at = [], 0
    for sample in samples:
        found.append(np.array([line.split() for line in printed[at : at + len(sample)]], dtype=np.int64))
        at += len(sample)
    assert at == len(printed)
    return found


def compile_and_run(text: str, folder: Path, data: bytes) -> str:
    """Compile ``text`` as C99, warnings being errors, run it on ``data`` as standard input; return what it prints."""
    source, program = folder / "main.c", folder / "main"
    source.write_text(text)
    built = subprocess.run(["cc", *FLAGS, "-I", str(folder), str(source), "-o", str(program)], capture_output=True)
    assert built.returncode == 0, built.stderr.decode()[:4000]
    done = subprocess.run([str(program)], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout.decode()
