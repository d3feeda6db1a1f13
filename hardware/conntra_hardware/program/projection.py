"""Projections: the synapses between two populations, as a dense matrix, a convolution, or a sparse matrix.

All three mean the same thing, an integer matrix (n_target, n_source) in which a weight of 0 is no synapse, and have the
same interface. They differ in what they take in memory: a convolution is its kernel, however large its images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.arguments import whole
from conntra_hardware.base.arrays import IntArray, as_integers
from conntra_hardware.base.errors import InputError
from conntra_hardware.base.spike_product import SpikeProduct
from conntra_hardware.program.convolution import Geometry, exact_type
from conntra_hardware.program.spike_convolution import SpikeConvolution

if TYPE_CHECKING:
    import scipy.sparse as sp  # loaded where a sparse matrix is made: dense programs do without

__all__ = [
    "INPUT",
    "LONGEST_DELAY",
    "AnyProjection",
    "ConvProjection",
    "Index",
    "Projection",
    "SparseProjection",
    "Synapses",
    "by_target",
    "one_to_one",
]

LONGEST_DELAY = 63
"""The most time steps that a delay may take: 6 bits, as Loihi's synapses have."""

INPUT = "input"
"""Name of the source of spikes that enter the chip."""

Index: TypeAlias = slice | npt.NDArray[np.intp]
"""Which neurons of a population."""
ALL = slice(None)


class Synapses(Protocol):
    """What every projection offers."""

    @property
    def source(self) -> str:
        """The population whose spikes arrive, or ``INPUT``."""
        ...

    @property
    def target(self) -> str:
        """The population that they reach."""
        ...

    @property
    def delay(self) -> int:
        """The time steps that a spike takes longer than the one of every hop."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """(n_target, n_source)."""
        ...

    @property
    def n_synapses(self) -> int:
        """Number of nonzero weights, those of shared kernels counted at every position."""
        ...

    @property
    def weights(self) -> IntArray:
        """All weights, (n_target, n_source), zeros included: for small projections, unless it is a dense one."""
        ...

    @property
    def alphabet(self) -> IntArray:
        """The distinct values of the stored weights, sorted."""
        ...

    def matrix(self) -> sp.csr_array:
        """Return the nonzero weights as a sparse matrix (n_target, n_source)."""
        ...

    def apply(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the synaptic sums (n, n_target) of integer rows ``x`` (n, n_source), exactly."""
        ...

    def events(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return how many spikes of rows ``x`` (n, n_source) meet a synapse of each neuron, (n, n_target)."""
        ...

    def magnitudes(self) -> npt.NDArray[np.int64]:
        """Return the sum of each neuron's absolute weights, (n_target,)."""
        ...

    def rows(self, index: Index) -> Any:
        """Return the weights of the neurons ``index``, an array or a sparse one (neurons, n_source)."""
        ...

    def degrees(self, index: Index = ALL) -> npt.NDArray[np.int64]:
        """Return the number of synapses of each source (n_source,) with the neurons ``index``."""
        ...


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from ``source`` (a population, or ``INPUT``) to ``target``; a weight of 0 is no synapse.

    ``weights`` has shape (n_target, n_source), stored in 8 bits where that is enough, else 16, 32. ``delay``, 0 to 63:
    the time steps that a spike takes longer than the one of every hop. InputError for anything else.
    """

    source: str
    target: str
    weights: IntArray
    delay: int = 0

    def __post_init__(self) -> None:
        _check_delay(self)
        exact = as_integers(self.weights, f"weights {self.source} -> {self.target}", ndim=2, dtype=np.int32)
        object.__setattr__(self, "weights", _smallest(exact))

    @property
    def shape(self) -> tuple[int, int]:
        """(n_target, n_source)."""
        return self.weights.shape[0], self.weights.shape[1]

    @property
    def n_synapses(self) -> int:
        """Number of nonzero weights."""
        return int(np.count_nonzero(self.weights))

    @property
    def alphabet(self) -> IntArray:
        """The distinct weights, sorted."""
        return np.unique(self.weights)

    def matrix(self) -> sp.csr_array:
        """Return the nonzero weights as a sparse matrix (n_target, n_source)."""
        import scipy.sparse as sp

        return sp.csr_array(self.weights)

    def apply(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the synaptic sums (n, n_target) of integer rows ``x`` (n, n_source), exactly."""
        product = self.spike_product(len(x)) if x.dtype == np.uint8 and x.max(initial=0) <= 1 else None
        if product is not None:
            return product(x, np.int64)
        exact = exact_type(_largest(x) * int(self.magnitudes().max(initial=0)))
        return (x.astype(exact) @ self.weights.T.astype(exact)).astype(np.int64)

    def spike_product(self, rows: int) -> SpikeProduct | None:
        """Return the product with so many rows of 0/1 spikes, where it is worth the start of the compiler."""
        return self._spike_product if self._small and SpikeProduct.pays(rows * self.weights.size) else None

    @cached_property
    def _small(self) -> bool:
        return SpikeProduct.takes(self.weights)

    @cached_property
    def _spike_product(self) -> SpikeProduct:
        return SpikeProduct(self.weights)

    def events(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return how many spikes of rows ``x`` (n, n_source) meet a synapse of each neuron, (n, n_target)."""
        return ((x != 0).astype(np.float32) @ (self.weights != 0).T.astype(np.float32)).astype(np.int64)

    def magnitudes(self) -> npt.NDArray[np.int64]:
        """Return the sum of each neuron's absolute weights, (n_target,)."""
        return np.abs(self.weights.astype(np.int64)).sum(axis=1)

    def rows(self, index: Index) -> IntArray:
        """Return the weights of the neurons ``index``, (neurons, n_source)."""
        return self.weights[index]

    def degrees(self, index: Index = ALL) -> npt.NDArray[np.int64]:
        """Return the number of synapses of each source (n_source,) with the neurons ``index``."""
        return np.count_nonzero(self.weights[index], axis=0)


class _Sparse:
    """What a projection with a sparse matrix derives from it."""

    def matrix(self) -> sp.csr_array:
        """Return the nonzero weights as a sparse matrix (n_target, n_source), kept: not to be written to."""
        raise AssertionError("unreachable: each class has its own")

    @property
    def n_synapses(self) -> int:
        """Number of nonzero weights, those of shared kernels counted at every position."""
        return int(self.matrix().nnz)

    @property
    def weights(self) -> IntArray:
        """All weights, (n_target, n_source), made anew at each reading: for small projections."""
        return self.matrix().toarray()

    def magnitudes(self) -> npt.NDArray[np.int64]:
        """Return the sum of each neuron's absolute weights, (n_target,)."""
        return np.asarray(abs(self.matrix().astype(np.int64)).sum(axis=1)).ravel()

    def rows(self, index: Index) -> sp.csr_array:
        """Return the weights of the neurons ``index``, a sparse array (neurons, n_source)."""
        return self.matrix()[index]

    def degrees(self, index: Index = ALL) -> npt.NDArray[np.int64]:
        """Return the number of synapses of each source (n_source,) with the neurons ``index``."""
        rows = self.rows(index)
        return np.bincount(rows.indices, minlength=int(self.matrix().shape[1]))  # type: ignore[index]


@dataclass(frozen=True, eq=False)
class ConvProjection(_Sparse):
    """A convolution of the spikes of ``source``, to ``target``: ``kernel`` as ``geometry.kernel_shape``, one for all
    positions.

    Neurons are in the order (channels, height, width) on both sides; see ``conntra_hardware.program.convolution``.
    ``delay`` as in Projection. InputError for a kernel of another shape.
    """

    source: str
    target: str
    kernel: IntArray
    geometry: Geometry
    delay: int = 0

    def __post_init__(self) -> None:
        _check_delay(self)
        what = f"kernel {self.source} -> {self.target}"
        kernel = _smallest(as_integers(self.kernel, what, ndim=4, dtype=np.int32))
        if kernel.shape != self.geometry.kernel_shape:
            raise InputError(f"{what}: shape {kernel.shape}; {self.geometry.kernel_shape} expected")
        object.__setattr__(self, "kernel", kernel)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_target, n_source)."""
        return self.geometry.n_out, self.geometry.n_in

    @property
    def alphabet(self) -> IntArray:
        """The distinct weights of the kernel, sorted."""
        return np.unique(self.kernel)

    @cached_property
    def _matrix(self) -> sp.csr_array:
        return self.geometry.matrix(self.kernel)

    def matrix(self) -> sp.csr_array:
        """Return the nonzero weights as a sparse matrix (n_target, n_source), kept: not to be written to."""
        return self._matrix

    def apply(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the synaptic sums (n, n_target) of integer rows ``x`` (n, n_source), exactly."""
        product = self.spike_product(len(x)) if x.dtype == np.uint8 and x.max(initial=0) <= 1 else None
        if product is not None:
            return product(x, np.int64)
        return self.geometry.apply(self.kernel, x).astype(np.int64, copy=False)

    def spike_product(self, rows: int) -> SpikeConvolution | None:
        """Return the convolution of so many rows of 0/1 spikes, where it is worth the start of the compiler."""
        return self._spike_convolution if self._spike_convolution.pays(rows) else None

    @cached_property
    def _spike_convolution(self) -> SpikeConvolution:
        return SpikeConvolution(self.geometry, self.kernel)

    @cached_property
    def _spike_counter(self) -> SpikeConvolution:
        return SpikeConvolution(self.geometry, (self.kernel != 0).view(np.int8))

    def events(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return how many spikes of rows ``x`` (n, n_source) meet a synapse of each neuron, (n, n_target)."""
        spikes, counter = (x != 0).view(np.uint8), self._spike_counter
        if counter.pays(len(x)):
            return counter(spikes, np.int64)
        return self.geometry.apply(counter.kernel, spikes).astype(np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class SparseProjection(_Sparse):
    """Synapses from ``source`` to ``target``, for what is neither dense nor a convolution.

    ``entries`` is a scipy sparse matrix of integers (n_target, n_source). ``delay`` as in Projection.
    """

    source: str
    target: str
    entries: Any
    delay: int = 0

    def __post_init__(self) -> None:
        _check_delay(self)
        import scipy.sparse as sp

        what = f"weights {self.source} -> {self.target}"
        coo = sp.coo_array(self.entries)
        values = as_integers(coo.data, what, ndim=1)
        matrix = sp.csr_array(
            sp.coo_array((values, (coo.row, coo.col)), shape=coo.shape)
        )  # which adds up what stands twice
        matrix.eliminate_zeros()
        matrix.sort_indices()
        small = _smallest(as_integers(matrix.data, what, ndim=1, dtype=np.int32))
        object.__setattr__(self, "entries", sp.csr_array((small, matrix.indices, matrix.indptr), shape=coo.shape))

    def matrix(self) -> sp.csr_array:
        """Return the nonzero weights as a sparse matrix (n_target, n_source): not to be written to."""
        return self.entries

    @property
    def shape(self) -> tuple[int, int]:
        """(n_target, n_source)."""
        return int(self.entries.shape[0]), int(self.entries.shape[1])

    @property
    def alphabet(self) -> IntArray:
        """The distinct nonzero weights, sorted."""
        return np.unique(self.entries.data)

    def apply(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the synaptic sums (n, n_target) of integer rows ``x`` (n, n_source), exactly."""
        return np.ascontiguousarray((self.entries.astype(np.int64) @ x.T.astype(np.int64)).T)

    def events(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return how many spikes of rows ``x`` (n, n_source) meet a synapse of each neuron, (n, n_target)."""
        return np.ascontiguousarray(((self.entries != 0).astype(np.int64) @ (x != 0).T.astype(np.int64)).T)


AnyProjection: TypeAlias = Projection | ConvProjection | SparseProjection


def _check_delay(projection: AnyProjection) -> None:
    whole(projection.delay, f"projection {projection.source} -> {projection.target}: delay", 0, LONGEST_DELAY)


def by_target(projections: Iterable[AnyProjection]) -> dict[str, list[AnyProjection]]:
    """Return projections by target: those of different delays into one population share packets and axons."""
    found: dict[str, list[AnyProjection]] = {}
    for projection in projections:
        found.setdefault(projection.target, []).append(projection)
    return found


def one_to_one(source: str, target: str, size: int, weight: int = 1) -> SparseProjection:
    """Return one synapse of ``weight`` from each neuron of ``source`` to the same of ``target``."""
    import scipy.sparse as sp

    same = np.arange(size)
    return SparseProjection(source, target, sp.coo_array((np.full(size, weight), (same, same)), shape=(size, size)))


def _smallest(values: IntArray) -> IntArray:
    """Return ``values`` in the smallest signed type that holds them and what they are negated, write-locked."""
    largest = max(int(values.max()), -int(values.min())) if values.size else 0
    small = values.astype(next((t for t in (np.int8, np.int16) if largest <= np.iinfo(t).max), np.int32))
    small.flags.writeable = False
    return small


def _largest(x: npt.NDArray[Any]) -> int:
    return max(int(x.max(initial=0)), -int(x.min(initial=0)), 1)
