"""A simulator that never ends, with a process of its own that does not either."""

import subprocess
import sys
import time

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve


def simulate(job: Job) -> float:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    time.sleep(600)
    return 0.0


if __name__ == "__main__":
    serve(simulate)
