"""Lava's own ``SigmaDelta``, alone between a source and a sink: a program that a test starts.

Reads from standard input, as JSON, a list of runs: ``sums`` (steps, n), and the process's arguments ``vth``, ``bias``,
``spike_exp``, ``state_exp``, ``cum_error`` and ``act_mode``. Prints the spikes (steps, n) of each, as JSON.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.sdn.process import ActivationMode, SigmaDelta


def run(sums: list[list[int]], act_mode: str, **arguments: object) -> list[list[int]]:
    """Return the spikes of one run."""
    data = np.array(sums, np.int32).T
    source = Source(data=data)
    arguments["bias"] = np.array(arguments["bias"])
    neurons = SigmaDelta(shape=(len(data),), act_mode=ActivationMode[act_mode], **arguments)  # type: ignore[arg-type]
    sink = Sink(shape=(len(data),), buffer=data.shape[1])
    source.s_out.connect(neurons.a_in)
    neurons.s_out.connect(sink.a_in)
    source.run(RunSteps(num_steps=data.shape[1]), Loihi2SimCfg(select_tag="fixed_pt"))
    spikes = sink.data.get().T.astype(int).tolist()
    source.stop()
    return spikes


if __name__ == "__main__":
    print(json.dumps([run(**one) for one in json.load(sys.stdin)]))
