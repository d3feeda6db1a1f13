"""Place: give each group of slices a core of the mesh, so that packets travel few hops.

The cost is the number of axons between two places times the hops between them, as if every source spiked alike; a hop
onto another chip weighs more. Groups are laid along the mesh in pipeline order first, then pairs of places are
exchanged while that lowers the cost: the steepest exchange at each step, by the formula for the quadratic assignment
problem, so that the result is the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.chip import Chip
from conntra_hardware.cost.events import INPUT_CORE
from conntra_hardware.program import INPUT, CoreSlice
from conntra_neuro.compiler.cut import Part
from conntra_neuro.compiler.lower import Lowered
from conntra_neuro.compiler.partition import Partition

__all__ = ["naive_cores", "place", "traffic", "travel"]

CROSSING_WEIGHT = 4.0
"""A hop onto another chip counts as this many more: our choice, to keep traffic on one chip; it is not an energy."""
_MAX_EXCHANGES = 4000
_MAX_EXCHANGED = 2048

Matrix = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


def place(lowered: Lowered, parts: Partition, chip: Chip) -> tuple[CoreSlice, ...]:
    """Return the slices of a partition with their cores, in population order.

    Groups beyond the chip's last core get cores that it does not have: ``check`` reports them.
    """
    cores = _assign(*traffic(lowered, parts), chip)
    order = {population.name: index for index, population in enumerate(lowered.populations)}
    slices = [
        CoreSlice(part.population, part.start, part.stop, int(core), part.runs, part.stride)
        for group, core in zip(parts.cores, cores, strict=True)
        for part in group
    ]
    return tuple(sorted(slices, key=lambda s: (order[s.population], s.start)))


def naive_cores(parts: Partition) -> Places:
    """Return the cores of a naive placement: groups in pipeline order, core after core, row by row."""
    return np.arange(len(parts.cores))


def traffic(lowered: Lowered, parts: Partition) -> tuple[Matrix, Matrix]:
    """Return the axons between groups (groups, groups), and those that enter each group from outside (groups,)."""
    count = len(parts.cores)
    between, entering = np.zeros((count, count)), np.zeros(count)
    where: dict[str, list[tuple[int, Part]]] = {}
    for index, group in enumerate(parts.cores):
        for part in group:
            where.setdefault(part.population, []).append((index, part))
    for projection in lowered.projections:
        for index, part in where[projection.target]:
            reached = projection.degrees(part.index) > 0
            if projection.source == INPUT:
                entering[index] += reached.sum()
                continue
            for sender, sending in where[projection.source]:
                between[sender, index] += reached[sending.index].sum()
    return between, entering


def travel(between: Matrix, entering: Matrix, cores: Places, chip: Chip) -> float:
    """Return the sum of axons times hops of a placement."""
    distance, entry = _distances(chip, int(cores.max()) + 1)
    return float((between * distance[np.ix_(cores, cores)]).sum() + entering @ entry[cores])


def _assign(between: Matrix, entering: Matrix, chip: Chip) -> Places:
    """Return a core for each group."""
    groups = len(entering)
    cores = -(-groups // chip.cores) * chip.cores
    along = np.array(sorted(range(cores), key=lambda core: _along(chip, core)))
    if groups > chip.total_cores or cores > _MAX_EXCHANGED:
        return along[:groups]
    distance, entry = _distances(chip, cores)
    # Free places take part as groups without traffic, so that an exchange may also move a group to an empty core.
    flow, pull = np.zeros((cores, cores)), np.zeros(cores)
    flow[:groups, :groups] = between + between.T
    np.fill_diagonal(flow, 0.0)
    pull[:groups] = entering
    starts = (along, np.arange(cores))
    found = [exchange(flow, pull, distance, entry, start)[:groups] for start in starts]
    return min(found, key=lambda places: travel(between, entering, places, chip))


def exchange(flow: Matrix, pull: Matrix, distance: Matrix, entry: Matrix, cores: Places) -> Places:
    """Exchange the two groups that save most, until no exchange saves anything.

    ``flow`` (groups, groups) is symmetric with a diagonal of 0, ``pull`` (groups,) what enters; ``distance`` and
    ``entry`` are hops between cores and from where input enters; ``cores`` (groups,) is where to begin.
    """
    cores = cores.copy()
    here = distance[np.ix_(cores, cores)]
    cost = flow @ here
    for _ in range(_MAX_EXCHANGES):
        own, at = np.diag(cost), entry[cores]
        # r moves to where s is and s to where r is; the third term takes back the distance between the two themselves.
        change = cost + cost.T - own[:, None] - own[None, :] + 2 * flow * here
        change += (pull[:, None] - pull[None, :]) * (at[None, :] - at[:, None])
        pair = [int(index) for index in np.unravel_index(int(change.argmin()), change.shape)]
        if change[pair[0], pair[1]] > -0.5:  # axons times hops are whole numbers
            break
        cores[pair] = cores[pair[::-1]]
        # Two rows and two columns of the distances have changed: the product is mended, not made anew.
        before, here = here, distance[np.ix_(cores, cores)]
        cost += flow[:, pair] @ (here[pair] - before[pair])
        cost[:, pair] = flow @ here[:, pair]
    return cores


def _distances(chip: Chip, cores: int) -> tuple[Matrix, Matrix]:
    """Return the weighted hops between cores (cores, cores), and from where input enters (cores,)."""
    tiles = np.array([chip.tile(core) for core in range(cores)])
    hops = np.abs(tiles[:, None, :] - tiles[None, :, :]).sum(axis=2).astype(float)
    grid = np.array([divmod(chip.chip_of(core), chip.chips_x) for core in range(cores)])
    crossings = np.abs(grid[:, None, :] - grid[None, :, :]).sum(axis=2)
    distance = hops + CROSSING_WEIGHT * crossings
    return distance, distance[INPUT_CORE]


def _along(chip: Chip, core: int) -> tuple[int, int, int]:
    """Order cores chip by chip, and on a chip by their distance from its corner."""
    x, y = chip.tile(core % chip.cores)
    return chip.chip_of(core), x + y, core
