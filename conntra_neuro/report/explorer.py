"""What the spike explorer of a report steps through: some samples of a run, whole, as JSON values.

All of it is bounded: at most ``SAMPLES`` samples, and ``LARGEST_BYTES`` of packed arrays. Potentials follow from the
recorded spikes, exactly; where they do not fit, those of the largest layers are left out first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.neurons import FRACTION_BITS
from conntra_hardware.program import INPUT
from conntra_hardware.program.arrivals import arriving_sums
from conntra_neuro.report.recorded import CLASSES_SHOWN, pack

if TYPE_CHECKING:
    from conntra_hardware.base.arrays import ArrayLike
    from conntra_hardware.program import Population, Program
    from conntra_hardware.runtime import RunResult

__all__ = ["LARGEST_BYTES", "SAMPLES", "explorer_document"]

SAMPLES = 12
"""At most so many samples: the first ones, and a third of them mistakes, where there are any."""
LARGEST_BYTES = 600_000
"""Of arrays before they are written in base64, which takes a third more."""
_BEFORE_POTENTIALS = 4
"""So many samples come before the potentials of large layers."""
_FORMS = {"threshold", "integrating", "leaky"}
"""The forms whose v is what the threshold is held against; of a sigma-delta neuron it is a change."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Sizes:
    """Bytes of one sample: ``held`` by population, and all the rest."""

    held: dict[str, int]
    rest: int

    def chosen(self, most: int) -> tuple[int, set[str]]:
        """Return how many samples, up to ``most``, and the populations whose potentials are written."""
        kept = dict(self.held)
        wanted = min(most, _BEFORE_POTENTIALS)
        while kept and wanted * (self.rest + sum(kept.values())) > LARGEST_BYTES:
            del kept[max(kept, key=lambda name: kept[name])]
        return min(most, LARGEST_BYTES // max(1, self.rest + sum(kept.values()))), set(kept)


def explorer_document(
    result: RunResult,
    inputs: Array | None,
    features: ArrayLike | None,
    labels: ArrayLike | None = None,
    step_us: int | None = None,
) -> dict[str, Any] | None:
    """Return some samples of ``result``: input, spikes, potentials, and the decision at every step.

    ``inputs`` (rows, n_inputs) are the spikes that entered, ``features`` (n, ...) the samples as the data set has them,
    ``labels`` (n,) class indices, ``step_us`` the microseconds of a time step. None without features, and where spikes
    were not recorded; {"left_out": why} where a single sample exceeds ``LARGEST_BYTES``.
    """
    program = result.program
    missing = {p.name for p in program.populations if p.neuron.spikes} - set(result.spikes)
    if features is None or inputs is None or missing:
        return None
    if program.value is not None:
        return {"left_out": "the network answers with a value, and the explorer shows decisions between classes"}
    raw = np.asarray(features)
    sizes = _sizes(program, raw)
    most, held = sizes.chosen(min(SAMPLES, result.samples))
    if most == 0:
        return {"left_out": f"one sample takes {sizes.rest:,} bytes; up to {LARGEST_BYTES:,} are embedded"}
    truth = None if labels is None else np.asarray(labels)
    chosen = _choose(result.predictions, truth, most)
    flat = {INPUT: inputs, **result.spikes}
    sent = {name: _of_samples(spikes, chosen, program.steps) for name, spikes in flat.items()}
    layers = [{"name": INPUT, "kind": "input", "depth": 0, "size": program.n_inputs, "sent": _packed(sent[INPUT])}]
    layers += [_layer(program, population, sent, population.name in held) for population in program.populations]
    return {
        "steps": program.steps,
        "step_us": step_us,
        "total": result.samples,
        "samples": [_sample(result, truth, index) for index in chosen.tolist()],
        "classes": [str(label) for label in program.labels or range(program.readout.size)][:CLASSES_SHOWN],
        "shown": _shown(program, raw, chosen),
        "layers": layers,
        "decision": pack(_decision(program, sent)[:, :, :CLASSES_SHOWN]),
    }


def _sizes(program: Program, raw: Array) -> _Sizes:
    steps, populations = program.steps, program.populations
    bits = steps * (program.n_inputs + sum((32 if p.neuron.graded else 1) * p.size for p in populations))
    decision = 8 * steps * min(program.readout.size, CLASSES_SHOWN)
    picture = 0 if program.encoder is None else raw[:1].size
    return _Sizes({p.name: 4 * steps * p.size for p in populations}, bits // 8 + decision + picture)


def _choose(predictions: Array, truth: Array | None, most: int) -> npt.NDArray[np.intp]:
    """Return the samples shown, in order: the first ones, and up to a third of them mistakes further on."""
    n = len(predictions)
    first = np.arange(min(n, most))
    if truth is None or n <= most:
        return first
    wrong = np.flatnonzero(predictions != truth)
    wrong = wrong[wrong >= most - most // 3][: most // 3]
    return np.concatenate([first[: most - len(wrong)], wrong])


def _of_samples(rows: Array, chosen: Array, steps: int) -> Array:
    return np.asarray(rows).reshape(-1, steps, rows.shape[1])[chosen]


def _packed(values: Array) -> dict[str, Any]:
    """Return spikes as bits, values of graded ones as numbers."""
    plain = values.dtype == bool or (values.min(initial=0) >= 0 and values.max(initial=0) <= 1)
    return pack(values.astype(bool)) if plain else _numbers(values)


def _numbers(values: Array) -> dict[str, Any]:
    small = np.abs(values).max(initial=0) < 2**31
    return pack(values.astype(np.int32 if small else np.int64))


def _layer(program: Program, population: Population, sent: Mapping[str, Array], with_held: bool) -> dict[str, Any]:
    facts, name = population.neuron.facts, population.name
    threshold = facts.threshold if facts.form in _FORMS else None
    return {
        "name": name,
        "kind": population.neuron.kind,
        "depth": program.depths[name],
        "size": population.size,
        "sent": _packed(sent[name]) if name in sent else None,
        "held": _numbers(_held(program, population, sent)) if with_held else None,
        "unit": 1 << FRACTION_BITS if facts.fraction_bits else 1,
        "threshold": list(threshold) if isinstance(threshold, tuple) else threshold,
        "strict": facts.strict,
        "places": [[s.start, s.stop, s.core, s.runs, s.stride] for s in program.slices_of(name)],
    }


def _held(program: Program, population: Population, sent: Mapping[str, Array]) -> Array:
    return population.neuron.held(arriving_sums(program, population.name, sent), population.bias)


def _decision(program: Program, sent: Mapping[str, Array]) -> Array:
    """Return what the logits would be if the samples ended at each step, (samples, steps, classes)."""
    readout = program.readout
    if readout.neuron.spikes:
        return np.cumsum(sent[readout.name], axis=1, dtype=np.int64)
    held = _held(program, readout, sent)
    return np.maximum.accumulate(held, axis=1) if readout.neuron.facts.read == "max" else held


def _sample(result: RunResult, truth: Array | None, index: int) -> dict[str, Any]:
    names = result.program.labels or range(result.program.readout.size)
    decided = int(result.predictions[index])
    if truth is None:
        return {"index": index, "class": None, "decided": str(names[decided]), "right": None}
    right = int(truth[index]) == decided
    return {"index": index, "class": str(names[truth[index]]), "decided": str(names[decided]), "right": right}


def _shown(program: Program, raw: Array, chosen: Array) -> dict[str, Any] | None:
    """Return how a sample looks: "events" of each step, which are the input spikes; an "image"; or "numbers"."""
    if program.encoder is None:
        shape = _frame(program, raw)
        return None if shape is None else {"kind": "events", "shape": shape}
    values = raw[chosen].astype(np.float64)
    low, high = float(values.min()), float(values.max())
    levels = np.rint((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
    image = _image_shape(values.shape[1:])
    return {
        "kind": "numbers" if image is None else "image",
        "shape": list(values.shape[1:]) if image is None else image,
        "low": low,
        "high": high,
        "values": pack(_channels_last(levels)),
    }


def _frame(program: Program, raw: Array) -> list[int] | None:
    """Return (channels, height, width) of the input spikes of a step, where they lie on a plane."""
    shape = raw.shape[-3:]
    is_plane = raw.ndim == (4 if program.steps == 1 else 5) and shape[0] <= 2
    return [int(side) for side in shape] if is_plane and int(np.prod(shape)) == program.n_inputs else None


def _image_shape(shape: Sequence[int]) -> list[int] | None:
    """Return (height, width, channels) of images (h, w), (h, w, 1 or 3), or (1 or 3, h, w)."""
    if len(shape) == 2 and min(shape) > 1:
        return [*map(int, shape), 1]
    if len(shape) == 3 and shape[-1] in (1, 3):
        return [*map(int, shape)]
    if len(shape) == 3 and shape[0] in (1, 3):
        return [int(shape[1]), int(shape[2]), int(shape[0])]
    return None


def _channels_last(levels: Array) -> Array:
    """Return images (n, channels, h, w) as (n, h, w, channels); all else as it is."""
    is_first = levels.ndim == 4 and levels.shape[-1] not in (1, 3) and levels.shape[1] in (1, 3)
    return np.ascontiguousarray(np.moveaxis(levels, 1, -1)) if is_first else levels
