"""The deployment onto a chip with stand-ins for the extension, whose stock processes may run on the CPU."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "loihi_extension"))

from conntra_hardware.backends.child.serve import serve
from conntra_hardware.backends.loihi.deployment import deploy

if __name__ == "__main__":
    serve(lambda job: deploy(job, refuse_cpu=False))
