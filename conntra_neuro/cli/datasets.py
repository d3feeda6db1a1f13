"""``conntra datasets``: what DATA may be."""

from __future__ import annotations

from dataclasses import asdict

from conntra_neuro.cli.options import Debug, Json, Quiet, Seed, example
from conntra_neuro.cli.verb_result import Outcome

__all__ = ["datasets"]


def datasets(seed: Seed = 0, json: Json = False, quiet: Quiet = False, debug: Debug = False) -> Outcome:
    """List the data sets that DATA can name, and where they come from."""
    from conntra_hardware.base.cache import cache_folder
    from conntra_neuro.datasets import SPECS
    from conntra_neuro.report.tables import datasets_table

    cache = cache_folder()
    cached = (cache / "mnist.npz").is_file()
    document = {"datasets": [asdict(spec) for spec in SPECS], "cache": str(cache), "mnist_cached": cached}
    return Outcome(document, (datasets_table(SPECS, str(cache), cached),))


datasets.__doc__ = f"{datasets.__doc__}\n\n" + example("conntra datasets")
