"""One seed, one network, bit for bit: with other vector instructions, other BLAS kernels, other numbers of threads.

Each variant runs in a process of its own, because features of a processor are chosen at import. Processors that differ
in more than features, 64-bit Arm for one, are held to the same digests wherever these tests run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "same_everywhere.py"
GOLDEN = {
    "dense": "a967a1900715e13e",
    "convolution": "7358e012755f090f",
    "penalty": "95d608260e68a4f9",
    "centred": "e5f458b061d21a62",
    "annealed": "6bb23860936e9a71",
    "exact": "56c107956d245e21",
    "lif": "57e435bfba46947e",
    "default, dense": "9bc6e8b1425e1965",
    "default, convolution": "ca94005ec110391c",
}
PLAIN = "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
# Of numba's plain code only two cases: it has no cache to begin with, and compiling takes a minute for all.
VARIANTS = {
    "as it comes": (GOLDEN, 1, {}),
    "two threads": (GOLDEN, 2, {"OPENBLAS_NUM_THREADS": "2"}),
    "NumPy and OpenBLAS for SSE": (GOLDEN, 3, {"NPY_DISABLE_CPU_FEATURES": PLAIN, "OPENBLAS_CORETYPE": "Nehalem"}),
    "numba for any x86-64": (("dense",), 2, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_bits(variant: str) -> None:
    cases, threads, settings = VARIANTS[variant]
    if os.uname().machine != "x86_64" and "NPY_DISABLE_CPU_FEATURES" in settings:
        pytest.skip("these are features of x86-64")
    command = [sys.executable, str(SCRIPT), ";".join(cases), str(threads)]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: GOLDEN[name] for name in cases}
