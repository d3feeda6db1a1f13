"""A simulator that writes files into its folder for ever, and fails as soon as that is gone."""

from itertools import count

from conntra_hardware.backends.child.job import Job
from conntra_hardware.backends.child.serve import serve


def simulate(job: Job) -> float:
    for number in count():
        (job.folder / f"{number % 500}").write_bytes(b"some")
    return 0.0


if __name__ == "__main__":
    serve(simulate)
