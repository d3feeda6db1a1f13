"""A chip that programs can run on: its limits, its simulators, its energy. It knows nothing of training or datasets.

The rooms, from top to bottom; each imports only from those below it:

proof      do simulators agree: verification, certificates, diagnosis, fuzzing
runtime    one call that runs a program on any backend
backends   the simulators and the chip, a folder each
cost       event counts, coefficients, energy and latency
fit        what a program takes of a chip: synapse memory, resources of cores, register bounds
program    populations, projections, input encoders, files
chip       limits and geometry
neurons    the kinds of neuron and their exact dynamics
base       errors, arrays, files, citations, bit packing
"""

import logging
from typing import Any

from conntra_hardware.base.upward import upward


def _usage(program: Any) -> Any:
    from conntra_hardware.fit.resources import core_usage

    return core_usage(program)


def _run(*arguments: Any, **options: Any) -> Any:
    from conntra_hardware.runtime import run

    return run(*arguments, **options)


def _verify(*arguments: Any, **options: Any) -> Any:
    from conntra_hardware.proof.verify import verify

    return verify(*arguments, **options)


def _plain(value: Any) -> str:
    return repr(value)


def _plain_html(value: Any) -> str:
    from html import escape

    return f"<pre>{escape(repr(value))}</pre>"


# A library is silent until its user asks: without a handler, Python would print warnings on standard error.
logging.getLogger(__name__).addHandler(logging.NullHandler())
# Imported when called: NumPy alone takes longer than the rest of ``conntra --help``.
upward.update(usage=_usage, run=_run, verify=_verify)
# The tables are drawn by a package that stands above this one; without it a value is shown in a line.
upward.setdefault("summary", _plain)
upward.setdefault("html", _plain_html)
