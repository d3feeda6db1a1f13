"""Train discrete networks with CoNNTrA, compile them onto neuromorphic cores, run and verify them.

import conntra_neuro as cn

data = cn.load_dataset("digits")
trained = cn.train(data, layers=[256], levels="ternary", seed=0)
program = cn.compile(trained.network, chip="loihi1")
result = program.run(data.x_test, data.y_test, backend="lava")
"""

import logging as _logging
from typing import TYPE_CHECKING as _TYPE_CHECKING

from conntra_hardware.base.upward import upward as _upward

if _TYPE_CHECKING:
    from conntra_hardware.backends.host import Host
    from conntra_hardware.base.errors import (
        BackendError,
        ConntraError,
        DoesNotFit,
        DoesNotVerify,
        FileFormatError,
        InputError,
        Violation,
    )
    from conntra_hardware.chip import Chip, chip_names, load_chip
    from conntra_hardware.cost.energy import EnergyEstimate, estimate, estimate_all
    from conntra_hardware.cost.events import EventCounts
    from conntra_hardware.cost.measured import Measured
    from conntra_hardware.neurons import (
        GradedRelu,
        IntegrateAndFire,
        Lif,
        MultiThreshold,
        Readout,
        SigmaDelta,
        Threshold,
    )
    from conntra_hardware.program import Program, ValueScale
    from conntra_hardware.proof.verify import Certificate, verify
    from conntra_hardware.runtime import RunResult, run
    from conntra_neuro.compiler import check, compile
    from conntra_neuro.datasets import Dataset, fit_encoder, load_dataset
    from conntra_neuro.datasets.events.given import from_events
    from conntra_neuro.estimator import ConntraClassifier, ConntraRegressor
    from conntra_neuro.exchange import export, import_network
    from conntra_neuro.live import decide, listen
    from conntra_neuro.network import Conv2d, Dense, DiscreteNetwork, Flatten, MaxPool, Recurrent, Residual, SumPool
    from conntra_neuro.network.levels import BINARY, TERNARY, Levels, parse_levels
    from conntra_neuro.network.storage import MemoryReport, load, memory_report, save
    from conntra_neuro.training import TrainResult, train

_HOMES = {
    "conntra_hardware.backends.host": ("Host",),
    "conntra_hardware.base.errors": (
        "BackendError",
        "ConntraError",
        "DoesNotFit",
        "DoesNotVerify",
        "FileFormatError",
        "InputError",
        "Violation",
    ),
    "conntra_hardware.chip": ("Chip", "chip_names", "load_chip"),
    "conntra_hardware.cost.energy": ("EnergyEstimate", "estimate", "estimate_all"),
    "conntra_hardware.cost.events": ("EventCounts",),
    "conntra_hardware.cost.measured": ("Measured",),
    "conntra_hardware.neurons": (
        "GradedRelu",
        "IntegrateAndFire",
        "Lif",
        "MultiThreshold",
        "Readout",
        "SigmaDelta",
        "Threshold",
    ),
    "conntra_hardware.program": ("Program", "ValueScale"),
    "conntra_hardware.proof.verify": ("Certificate", "verify"),
    "conntra_hardware.runtime": ("RunResult", "run"),
    "conntra_neuro.compiler": ("check", "compile"),
    "conntra_neuro.datasets": ("Dataset", "fit_encoder", "load_dataset"),
    "conntra_neuro.datasets.events.given": ("from_events",),
    "conntra_neuro.estimator": ("ConntraClassifier", "ConntraRegressor"),
    "conntra_neuro.exchange": ("export", "import_network"),
    "conntra_neuro.live": ("decide", "listen"),
    "conntra_neuro.network": (
        "Conv2d",
        "Dense",
        "DiscreteNetwork",
        "Flatten",
        "MaxPool",
        "Recurrent",
        "Residual",
        "SumPool",
    ),
    "conntra_neuro.network.levels": ("BINARY", "TERNARY", "Levels", "parse_levels"),
    "conntra_neuro.network.storage": ("MemoryReport", "load", "memory_report", "save"),
    "conntra_neuro.training": ("TrainResult", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BINARY",
    "TERNARY",
    "BackendError",
    "Certificate",
    "Chip",
    "ConntraClassifier",
    "ConntraError",
    "ConntraRegressor",
    "Conv2d",
    "Dataset",
    "Dense",
    "DiscreteNetwork",
    "DoesNotFit",
    "DoesNotVerify",
    "EnergyEstimate",
    "EventCounts",
    "FileFormatError",
    "Flatten",
    "GradedRelu",
    "Host",
    "InputError",
    "IntegrateAndFire",
    "Levels",
    "Lif",
    "MaxPool",
    "Measured",
    "MemoryReport",
    "MultiThreshold",
    "Program",
    "Readout",
    "Recurrent",
    "Residual",
    "RunResult",
    "SigmaDelta",
    "SumPool",
    "Threshold",
    "TrainResult",
    "ValueScale",
    "Violation",
    "check",
    "chip_names",
    "compile",
    "decide",
    "estimate",
    "estimate_all",
    "export",
    "fit_encoder",
    "from_events",
    "import_network",
    "listen",
    "load",
    "load_chip",
    "load_dataset",
    "memory_report",
    "parse_levels",
    "run",
    "save",
    "train",
    "verify",
]


def __getattr__(name: str) -> object:
    """Import what is asked for, when it is asked for: NumPy alone would take longer than all else."""
    if name == "__version__":
        from conntra_hardware.base.version import package_version

        return package_version()
    if name not in _HOME_OF:
        raise AttributeError(f"module 'conntra_neuro' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def _summary(value: object) -> str:
    from conntra_neuro.report.summary import summary

    return summary(value)


def _html(value: object) -> str:
    from conntra_neuro.report.summary import html

    return html(value)


# A library is silent until its user asks: without a handler, Python would print warnings on standard error.
_logging.getLogger(__name__).addHandler(_logging.NullHandler())
_upward.update(summary=_summary, html=_html)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
