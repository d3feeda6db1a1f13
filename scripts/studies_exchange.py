"""Networks of others, and proofs: the studies of the pages on it."""

from __future__ import annotations

from study_kinds import Study

STUDIES: dict[str, Study] = {}
