"""Train discrete networks with CoNNTrA, compile them onto neuromorphic cores, run and verify them.

import conntra_neuro as cn

data = cn.load_dataset("digits")
trained = cn.train(data, layers=[256], levels="ternary", seed=0)
program = cn.compile(trained.network, chip="loihi1")
result = program.run(data.x_test, data.y_test, backend="lava")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from conntra_hardware.cost.measured import Measured
    from conntra_hardware.program import Program
    from conntra_hardware.runtime import RunResult
    from conntra_neuro.compiler import check, compile
    from conntra_neuro.datasets import Dataset, fit_encoder, load_dataset
    from conntra_neuro.estimator import ConntraClassifier
    from conntra_neuro.exchange import export, import_network
    from conntra_neuro.network import Dense, DiscreteNetwork
    from conntra_neuro.network.levels import BINARY, TERNARY, Levels, parse_levels
    from conntra_neuro.network.storage import MemoryReport, load, memory_report, save
    from conntra_neuro.training import TrainResult, train

__all__ = [
    "BINARY",
    "TERNARY",
    "BackendError",
    "Chip",
    "ConntraClassifier",
    "ConntraError",
    "Dataset",
    "Dense",
    "DiscreteNetwork",
    "DoesNotFit",
    "DoesNotVerify",
    "FileFormatError",
    "Host",
    "InputError",
    "Levels",
    "Measured",
    "MemoryReport",
    "Program",
    "RunResult",
    "TrainResult",
    "Violation",
    "check",
    "chip_names",
    "compile",
    "export",
    "fit_encoder",
    "import_network",
    "load",
    "load_chip",
    "load_dataset",
    "memory_report",
    "parse_levels",
    "save",
    "train",
]

_ERRORS = {"BackendError", "ConntraError", "DoesNotFit", "DoesNotVerify", "FileFormatError", "InputError", "Violation"}
_HOMES = {
    "conntra_hardware.chip": {"Chip", "chip_names", "load_chip"},
    "conntra_hardware.base.errors": _ERRORS,
    "conntra_hardware.backends.host": {"Host"},
    "conntra_hardware.cost.measured": {"Measured"},
    "conntra_hardware.program": {"Program"},
    "conntra_hardware.runtime": {"RunResult"},
    "conntra_neuro.compiler": {"check", "compile"},
    "conntra_neuro.datasets": {"Dataset", "fit_encoder", "load_dataset"},
    "conntra_neuro.estimator": {"ConntraClassifier"},
    "conntra_neuro.exchange": {"export", "import_network"},
    "conntra_neuro.network.levels": {"BINARY", "TERNARY", "Levels", "parse_levels"},
    "conntra_neuro.network": {"Dense", "DiscreteNetwork"},
    "conntra_neuro.network.storage": {"MemoryReport", "load", "memory_report", "save"},
    "conntra_neuro.training": {"TrainResult", "train"},
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: NumPy alone would take longer than all else."""
    if name == "__version__":
        return _version()
    if name not in _HOME_OF:
        raise AttributeError(f"module 'conntra_neuro' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("conntra-neuro")
    except PackageNotFoundError:  # run from its folder, not installed
        return "unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
