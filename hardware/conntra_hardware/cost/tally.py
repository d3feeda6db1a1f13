"""Sums over the sources that spike: what every count of synaptic operations, packets and spikes is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.spike_product import compiled, over_rows

__all__ = ["tallied"]

_WORTH, _WORTH_LOADED = 2**26, 2**20
"""Sources times rows from which the compiler is worth loading, and from which it is worth its threads once loaded."""

_FEW = 12
"""Sums up to which it is quicker to go through all sources than to list those that spike."""

Counts = npt.NDArray[np.int64]


def tallied(
    spikes: npt.NDArray[np.bool_], group: npt.NDArray[np.int64], groups: int, of_all: Counts, of_groups: Counts
) -> tuple[Counts, Counts]:
    """Return ``spikes @ of_all`` (n, k), and of each group of sources alone ``spikes @ of_groups`` (n, groups, m).

    spikes            (n, sources)
    group             of each source, (sources,), below ``groups``
    of_all, of_groups (sources, k) and (sources, m), integers whose sums over sources lie below 2^53
    """
    worth = spikes.size >= (_WORTH_LOADED if compiled() else _WORTH)
    return (_compiled if worth else _as_products)(spikes, group, groups, of_all, of_groups)


def _as_products(
    spikes: npt.NDArray[np.bool_], group: npt.NDArray[np.int64], groups: int, of_all: Counts, of_groups: Counts
) -> tuple[Counts, Counts]:
    largest = max(int(np.abs(values).sum(axis=0).max(initial=0)) for values in (of_all, of_groups))
    exact = np.float32 if largest < 2**24 else np.float64  # which hold integers up to there
    factors, values = spikes.astype(exact), of_groups.astype(exact)
    by_group = np.zeros((len(spikes), groups, of_groups.shape[1]), np.int64)
    for index in range(groups):
        members = np.flatnonzero(group == index)
        by_group[:, index] = factors[:, members] @ values[members]
    return (factors @ of_all.astype(exact)).astype(np.int64), by_group


def _compiled(
    spikes: npt.NDArray[np.bool_], group: npt.NDArray[np.int64], groups: int, of_all: Counts, of_groups: Counts
) -> tuple[Counts, Counts]:
    from conntra_hardware.base.spike_product_kernel import tally_ranges, tally_rows

    everywhere = np.zeros((len(spikes), of_all.shape[1]), np.int64)
    by_group = np.zeros((len(spikes), groups, of_groups.shape[1]), np.int64)
    ones = np.ascontiguousarray(spikes).view(np.uint8)

    largest = max(int(np.abs(values).max(initial=0)) for values in (of_all, of_groups))
    few = of_all.shape[1] + of_groups.shape[1] <= _FEW and largest < 2**31
    if few and (np.diff(group) >= 0).all():
        edges = np.searchsorted(group, np.arange(groups + 1))
        all_columns, group_columns = (np.ascontiguousarray(v.T.astype(np.int32)) for v in (of_all, of_groups))

        def work(part: slice) -> None:
            tally_ranges(ones[part], edges, all_columns, group_columns, everywhere[part], by_group[part])
    else:

        def work(part: slice) -> None:
            tally_rows(ones[part], group, of_all, of_groups, everywhere[part], by_group[part])

    over_rows(work, len(spikes))
    return everywhere, by_group
