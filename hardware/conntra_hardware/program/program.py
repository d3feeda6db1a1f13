"""A program: populations of neurons, the synapses between them, and the cores they stand on.

It is all that a backend or a chip needs, and knows nothing of training: anybody can build one. Networks become
programs in ``conntra_neuro.compiler``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arrays import ArrayLike, IntArray, SpikeArray, as_integers, as_spikes
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.upward import upward
from conntra_hardware.base.values import Shown
from conntra_hardware.chip import Chip
from conntra_hardware.neurons import Neuron, common_steps
from conntra_hardware.neurons.stream import Arrival, Stage, Stream
from conntra_hardware.program.input_encoding import Encoder
from conntra_hardware.program.projection import INPUT, AnyProjection, ConvProjection, Projection, SparseProjection
from conntra_hardware.program.value_scale import ValueScale, check_answers

if TYPE_CHECKING:
    from conntra_hardware.fit.resources import CoreUsage
    from conntra_hardware.proof.verify import Certificate
    from conntra_hardware.runtime import RunResult

__all__ = [
    "INPUT",
    "AnyProjection",
    "ConvProjection",
    "CoreSlice",
    "Population",
    "Program",
    "Projection",
    "SparseProjection",
]


@dataclass(frozen=True, eq=False)
class Population:
    """``size`` neurons of one kind, ``neuron``; ``bias`` has shape (size,), in weight units.

    ``name`` is one of its own. InputError for a name that is reserved, and for parameters of another number of neurons.
    """

    name: str
    neuron: Neuron
    bias: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias", as_integers(self.bias, f"bias of {self.name}", ndim=1))
        if not self.name or self.name == INPUT:
            raise InputError(f"population name {self.name!r}: empty or reserved; choose another")
        self.neuron.check_size(self.size, f"population {self.name}")

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.bias)


@dataclass(frozen=True)
class CoreSlice:
    """Neurons ``start`` .. ``stop - 1`` of a population, on one core, which holds at most one slice of each.

    With ``runs`` above 1, as many such runs of neurons, ``stride`` apart: rows of an image, in several channels.
    """

    population: str
    start: int
    stop: int
    core: int
    runs: int = 1
    stride: int = 0

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.runs * (self.stop - self.start)

    @property
    def index(self) -> slice | npt.NDArray[np.intp]:
        """What selects the neurons of the slice from an axis of the whole population, in the core's order."""
        if self.runs == 1:
            return slice(self.start, self.stop)
        return (np.arange(self.runs)[:, None] * self.stride + np.arange(self.start, self.stop)).ravel()


@dataclass(frozen=True, eq=False)
class Program(Shown):
    """Populations in feed-forward order, their synapses, and the core of every neuron.

    The last population is the readout; where it spikes, a sample's spikes (or their values) added up are the logits. A
    hop from a population to the next takes one time step: every projection leads from a depth to the next one, the
    input being at depth 0, or from a population to itself; several populations may stand at one depth. A sample takes
    ``steps`` time steps, which are rows of arrays: row r of the inputs enters at time step r, and a population at depth
    d sees it at time step r + d - 1 of the pipeline. So what a source sends at row r reaches a population at row r +
    delay, and itself at row r + 1 + delay (``lag``). What would arrive after a sample's last row is lost: samples do
    not see each other.

    chip         whose limits it keeps to
    n_inputs     number of input spikes
    populations  in the order of their depths, each with a name of its own
    projections  between them, from ``INPUT`` or a population to a population
    slices       which neurons are on which core; every neuron is on one
    encoder      turns raw features into input spikes, where the program has one
    labels       the class labels, where they are not 0 .. n-1
    value        what the logit of the only output stands for, where that is a number and no class
    steps        time steps of a sample; None takes what the neurons say, or 1

    Raises InputError where these do not belong together.
    """

    chip: Chip
    n_inputs: int
    populations: tuple[Population, ...]
    projections: tuple[AnyProjection, ...]
    slices: tuple[CoreSlice, ...]
    encoder: Encoder | None = None
    labels: tuple[Any, ...] | None = None
    steps: int = None  # type: ignore[assignment]  # set below: always a number afterwards
    value: ValueScale | None = None

    def __post_init__(self) -> None:
        steps = common_steps({p.name: p.neuron for p in self.populations}, self.steps)
        object.__setattr__(self, "steps", steps)
        for name in ("populations", "projections", "slices"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_structure(self)

    def __repr__(self) -> str:
        sizes = " -> ".join(map(str, (self.n_inputs, *(population.size for population in self.populations))))
        over = f", {self.steps} time steps" if self.steps > 1 else ""
        return f"Program({self.chip.name}: {sizes}{over}, {self.cores_used} core{'s' * (self.cores_used != 1)})"

    def population(self, name: str) -> Population:
        """Return the population called ``name``."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Population]:
        return {population.name: population for population in self.populations}

    def incoming(self, name: str) -> tuple[AnyProjection, ...]:
        """Return the projections into the population ``name``."""
        return tuple(p for p in self.projections if p.target == name)

    def outgoing(self, name: str) -> tuple[AnyProjection, ...]:
        """Return the projections out of ``name`` (a population, or ``INPUT``)."""
        return tuple(p for p in self.projections if p.source == name)

    def source_size(self, name: str) -> int:
        """Return the number of spike sources of ``name`` (a population, or ``INPUT``)."""
        return self.n_inputs if name == INPUT else self.population(name).size

    def slices_of(self, name: str) -> tuple[CoreSlice, ...]:
        """Return the slices of the population ``name``, in neuron order."""
        return tuple(sorted((s for s in self.slices if s.population == name), key=lambda s: s.start))

    @property
    def readout(self) -> Population:
        """The population whose potentials are the logits."""
        return self.populations[-1]

    @property
    def depth(self) -> int:
        """Time steps from an input spike to its logits."""
        return self.depths[self.readout.name]

    @cached_property
    def depths(self) -> Mapping[str, int]:
        """The time steps from an input spike to each population, by name."""
        depths = {INPUT: 0}
        for population in self.populations:
            first = next(p for p in self.incoming(population.name) if p.source != population.name)
            depths[population.name] = depths[first.source] + 1
        return depths

    @staticmethod
    def lag(projection: AnyProjection) -> int:
        """Rows from a spike to its arrival: its delay, and one more on the way from a population to itself."""
        return projection.delay + int(projection.source == projection.target)

    @property
    def timed(self) -> bool:
        """Whether its neurons do not say how many time steps a sample takes, and need to know or take more than one."""
        neurons = {p.name: p.neuron for p in self.populations}
        return any(n.needs_steps for n in neurons.values()) or self.steps != common_steps(neurons)

    @property
    def cores_used(self) -> int:
        """Number of cores that hold neurons."""
        return len({s.core for s in self.slices})

    @cached_property
    def usage(self) -> tuple[CoreUsage, ...]:
        """What the program takes of each core; see ``conntra_hardware.fit.resources``."""
        return upward["usage"](self)

    def encode(self, x: ArrayLike) -> SpikeArray:
        """Return the input spikes (n * steps, n_inputs) of ``x``: raw features if the program has an encoder, else
        spikes, in that shape or (n, steps, n_inputs). An encoder that gives one time step has it repeated.
        """
        if self.encoder is None:
            return as_spikes(x, self.n_inputs, steps=self.steps)
        spikes = self.encoder.encode(x)
        return spikes if self.encoder.steps == self.steps else np.repeat(spikes, self.steps, axis=0)

    def stream(self) -> Stream:
        """Return the program as a stream: ``push`` takes the next rows of input spikes (rows, n_inputs).

        It returns what the last population sends at each row, of a readout its potential so far; see
        ``DiscreteNetwork.stream``. The pipeline's one step a hop is left out.
        """
        index = {INPUT: -1} | {population.name: at for at, population in enumerate(self.populations)}
        stages = []
        for population in self.populations:
            incoming = self.incoming(population.name)
            arrivals = tuple(Arrival(index[p.source], self.lag(p), p.apply) for p in incoming)
            stages.append(Stage(population.neuron, population.size, population.bias, arrivals))
        return Stream(self.n_inputs, stages)

    def run(self, x: ArrayLike, y: ArrayLike | None = None, *, backend: str = "reference", **options: Any) -> RunResult:
        """Run the samples ``x`` (n, features), of class indices ``y`` (n,), on ``backend``.

        ``options`` and errors are those of ``conntra_hardware.runtime.run``.
        """
        return upward["run"](self, x, y, backend=backend, **options)

    def verify(
        self, x: ArrayLike, backends: Sequence[str] = ("reference", "lava", "brian2"), **options: Any
    ) -> Certificate:
        """Compare backends spike for spike on ``x`` (n, features).

        ``options`` and errors are those of ``conntra_hardware.proof.verify.verify``.
        """
        return upward["verify"](self, x, backends=backends, **options)


def _check_structure(program: Program) -> None:
    """Raise InputError where the parts of a program do not belong together."""
    names = [p.name for p in program.populations]
    if not names:
        raise InputError("program: no populations; at least a readout is needed")
    if len(set(names)) != len(names):
        raise InputError(f"program: population names {names} are not unique")
    if program.n_inputs < 1:
        raise InputError(f"program: {program.n_inputs} inputs; at least 1 expected")
    for population in program.populations:
        if not population.neuron.spikes and population is not program.populations[-1]:
            raise InputError(
                f"population {population.name}: {population.neuron.kind}; only the last one may be a readout"
            )
        if all(p.source == population.name for p in program.incoming(population.name)):
            raise InputError(f"population {population.name}: no incoming projection")
    ends = [(projection.source, projection.target, projection.delay) for projection in program.projections]
    for source, target, delay in {pair for pair in ends if ends.count(pair) > 1}:
        times = ends.count((source, target, delay))
        raise InputError(f"projection {source} -> {target}, delay {delay}: {times} times; add their weights up")
    for projection in program.projections:
        _check_ends(projection, names)
    for projection in program.projections:
        _check_hop(program, projection)
    if program.encoder is not None and program.encoder.n_out != program.n_inputs:
        raise InputError(f"program: the encoder gives {program.encoder.n_out} spikes for {program.n_inputs} inputs")
    if program.encoder is not None and program.encoder.steps not in (1, program.steps):
        raise InputError(
            f"program: the encoder gives {program.encoder.steps} time steps, the neurons take {program.steps}; one "
            "number for both expected, or an encoder of one time step, which is repeated"
        )
    check_answers(program.labels, program.value, program.readout.size, "program")
    if program.labels is not None and len(program.labels) != program.readout.size:
        raise InputError(f"program: {len(program.labels)} labels for {program.readout.size} readout neurons")
    _check_slices(program)


def _check_ends(projection: AnyProjection, names: list[str]) -> None:
    source, target = projection.source, projection.target
    if source not in (INPUT, *names) or target not in names:
        raise InputError(f"projection {source} -> {target}: no such population; there are {names}")
    if source != INPUT and names.index(source) > names.index(target):
        raise InputError(
            f"projection {source} -> {target}: a projection leads from a population to the next one, or to itself"
        )


def _check_hop(program: Program, projection: AnyProjection) -> None:
    source, target = projection.source, projection.target
    before, after = program.depths[source], program.depths[target]
    if source == target and not program.population(source).neuron.spikes:
        raise InputError(f"projection {source} -> {target}: a readout never spikes")
    if source != target and after != before + 1:
        raise InputError(
            f"projection {source} -> {target}: leads from depth {before} to depth {after}, but each hop takes one time "
            "step; put relay populations, with one-to-one synapses, between"
        )
    expected = (program.source_size(target), program.source_size(source))
    if projection.shape != expected:
        raise InputError(f"projection {source} -> {target}: weights {projection.shape}; {expected} expected")


def _check_slices(program: Program) -> None:
    for population in program.populations:
        covered = np.zeros(population.size, dtype=np.int64)
        cores = [s.core for s in program.slices if s.population == population.name]
        if len(set(cores)) != len(cores):
            raise InputError(f"population {population.name}: two slices on one core; join them")
        for s in program.slices_of(population.name):
            last = (s.runs - 1) * s.stride + s.stop
            if not 0 <= s.start < s.stop <= last <= population.size or s.core < 0 or s.runs < 1:
                raise InputError(
                    f"population {population.name}: slice {s.start}:{s.stop} on core {s.core} is out of range"
                )
            np.add.at(covered, np.arange(population.size)[s.index], 1)
        if not np.all(covered == 1):
            neuron = int(np.flatnonzero(covered != 1)[0])
            raise InputError(
                f"population {population.name}: neuron {neuron} stands on {covered[neuron]} cores; 1 expected"
            )
    strays = {s.population for s in program.slices} - {p.name for p in program.populations}
    if strays:
        raise InputError(f"slices of unknown populations {sorted(strays)}")
