"""The flash and RAM that a C header takes once compiled, as binutils' ``size`` counts them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from conntra_hardware.base.errors import InputError

__all__ = ["FLAGS", "measure"]

FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")
_TIME_LIMIT_S = 300


def measure(text: str, name: str, compiler: str) -> dict[str, Any]:
    """Compile the header ``text`` of prefix ``name`` and return its bytes: flash is code and tables, RAM static data.

    ``compiler`` is one that takes GCC's flags; the program ``size`` is looked for beside it, as in arm-none-eabi-size
    for arm-none-eabi-gcc. Stack is not counted.
    """
    command = compiler.split()
    if not command or shutil.which(command[0]) is None:
        raise InputError(f"compiler {compiler!r}: not found; give one that is installed, such as cc")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "net.c"), Path(folder, "net.o")
        source.write_text(f"#define {name.upper()}_IMPLEMENTATION\n{text}")
        flags = [*FLAGS, "-ffunction-sections", "-c", str(source), "-o", str(target)]
        _run([*command, *flags], f"compiler {compiler!r}")
        counted = _run([_size_of(command[0]), str(target)], "size")
    found = re.search(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s", counted.splitlines()[-1])
    if found is None:
        raise InputError(f"size: {counted.strip()!r}; binutils' columns text, data, bss expected")
    code, data, zeroed = map(int, found.groups())
    return {"compiler": compiler, "flash_measured_bytes": code + data, "ram_measured_bytes": data + zeroed}


def _size_of(compiler: str) -> str:
    beside = re.sub(r"(gcc|cc|clang)(-[\d.]+)?$", "size", compiler)
    for candidate in (beside, "size"):
        if shutil.which(candidate) and "size" in candidate:
            return candidate
    raise InputError(f"size: not found for compiler {compiler!r}; install binutils")


def _run(command: list[str], what: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIME_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{what}: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise InputError(f"{what}: failed with status {done.returncode}: {first}")
    return done.stdout
