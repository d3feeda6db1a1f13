"""What the gears share that hold a network with all its samples: annealed, and exact for layers of either kind."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from conntra_neuro.training.inputs.bits import Spikes
from conntra_neuro.training.parameters import Parameters
from conntra_neuro.training.task import Evaluation, Task

__all__ = ["NetworkGear"]


class _Network(Protocol):
    def evaluate(self) -> Evaluation: ...

    def evaluate_on(self, spikes: Spikes, y: npt.NDArray[np.int64]) -> Evaluation: ...

    def parameters(self) -> Parameters: ...


_Held = TypeVar("_Held", bound=_Network)


class NetworkGear(Generic[_Held]):
    """Evaluates, and gives the parameters and the state of, the network that it holds."""

    _task: Task
    network: _Held

    def evaluate(self, held_out: bool) -> Evaluation:
        """Return the exact evaluation on the held-out or the training samples."""
        if held_out and self._task.held_out is not None:
            return self.network.evaluate_on(*self._task.held_out)
        return self.network.evaluate()

    def parameters(self) -> Parameters:
        """Return a copy of the weights and biases."""
        return self.network.parameters()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and biases; orders, and what is drawn, follow from the sweep's number."""
        return self.parameters().arrays()
