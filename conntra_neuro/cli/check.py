"""``conntra check``: does a model fit a chip, and if not, all that is in the way."""

from __future__ import annotations

from dataclasses import asdict

from conntra_hardware.base.errors import DoesNotFit
from conntra_neuro.cli.options import ChipOption, Debug, Json, ModelArgument, Quiet, Seed, example
from conntra_neuro.cli.progress import step
from conntra_neuro.cli.verb_result import NO, Outcome

__all__ = ["check", "refusal"]


def check(
    model: ModelArgument,
    chip: ChipOption = "loihi1",
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> Outcome:
    """Check whether a model fits a chip: every violation, and what would help; exit status 1 if it does not fit."""
    from conntra_neuro.compiler import check as check_network
    from conntra_neuro.network.storage import load_network

    network = load_network(model)
    with step(f"checking {model} against {chip}", quiet):
        result = check_network(network, chip)
    if not result.fits:
        return refusal(DoesNotFit(result.chip, result.violations), str(model))
    document = {"fits": True, "model": str(model), "chip": result.chip, "violations": []}
    return Outcome(document, (f"{model} fits {result.chip}; next: conntra compile {model} --chip {result.chip}",))


check.__doc__ = f"{check.__doc__}\n\n" + example("conntra check digits.conntra --chip loihi1")


def refusal(error: DoesNotFit, model: str) -> Outcome:
    """Return the outcome of a model that does not fit: every violation, exit status 1."""
    from conntra_neuro.report.tables import violations_table

    violations = [asdict(violation) for violation in error.violations]
    document = {"fits": False, "model": model, "chip": error.chip, "violations": violations}
    return Outcome(document, (violations_table(error, model),), NO)
