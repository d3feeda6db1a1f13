"""Scores of all moves on mini-batches: a chain of dense threshold layers has kernels of its own."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.inputs.batches import Floats, inputs_of
from conntra_neuro.training.inputs.bits import Spikes
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.layers.products import Products
from conntra_neuro.training.scoring.chain import ChainScorer
from conntra_neuro.training.scoring.layers import LayerScorer
from conntra_neuro.training.scoring.plan import LocalSamples, Plan, Scorer
from conntra_neuro.training.scoring.split import SplitSamples, is_worth_splitting
from conntra_neuro.training.threads import Threads

__all__ = ["samples_of", "scorer_of"]


def scorer_of(
    plan: Plan, weights: Sequence[Floats], n: int, threads: Threads, products: Products | None = None
) -> Scorer:
    """Return what scores moves of ``weights`` on mini-batches of ``n`` samples, with ``products`` computed there."""
    if plan.arch.is_chain:
        return ChainScorer(plan, weights, n, threads, products)
    return LayerScorer(plan, weights, threads, products)


def samples_of(
    scorer: Scorer, spikes: Spikes, y: npt.NDArray[np.int64], image: ImageShape | None = None
) -> LocalSamples:
    """Return samples in this process, stored as ``scorer`` is fastest with."""
    whole = isinstance(scorer, LayerScorer)
    inputs = inputs_of(spikes, image, dense=whole)
    parts = scorer.parts() if whole else ()
    if whole and is_worth_splitting(scorer.plan.arch, min(scorer.plan.batch, len(y)), len(parts)):
        return SplitSamples(inputs, y, scorer, scorer.threads, parts)
    return LocalSamples(inputs, y, scorer)
