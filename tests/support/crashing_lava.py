"""Lava with neurons that fail at the third time step, in the middle of the graph: Lava alone would hang."""

from lava.proc.lif.models import PyLifResetModelBitAcc

from conntra_hardware.backends.child.serve import serve
from conntra_hardware.backends.lava.simulation import simulate

_run_spk = PyLifResetModelBitAcc.run_spk


def _failing(self: PyLifResetModelBitAcc) -> None:
    if self.time_step == 3:
        raise ZeroDivisionError("a neuron broke")
    _run_spk(self)


PyLifResetModelBitAcc.run_spk = _failing

if __name__ == "__main__":
    serve(simulate)
