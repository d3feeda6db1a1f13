"""Makes tests/support importable: strategies and stand-ins that several test files share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "support"))
