"""A simulator that fails in the way the job's first input spike train asks for."""

import os
import signal
import sys

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve


def simulate(job: Job) -> float:
    how = int(job.inputs[0].sum())
    if how == 0:
        raise ValueError("no spikes\nat all")
    if how == 1:
        print("the last thing it said", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == 2:
        print("Traceback\nMemoryError: too much", file=sys.stderr, flush=True)
        os._exit(3)
    while how == 4:
        print("and again " * 100_000, file=sys.stderr)
    os._exit(0)  # success without a result


if __name__ == "__main__":
    serve(simulate)
