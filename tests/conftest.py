"""Makes tests/support importable: strategies and stand-ins that several test files share."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "support"))

# A shell has what it starts in the background ignore Ctrl-C, and children inherit that: tests of Ctrl-C need it back.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
