"""The command line, on a machine whose chip is a stand-in: see ``wired_loihi``."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent / "loihi_extension")]

from conntra_hardware.backends.loihi import backend
from conntra_neuro.cli.app import main

backend._MODULE = "wired_loihi"

if __name__ == "__main__":
    sys.exit(main())
