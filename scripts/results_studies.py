"""The studies of all pages, in the order of docs/results.json."""

from __future__ import annotations

import studies_exchange
import studies_images
import studies_time
import studies_training
from study_kinds import Study

STUDIES: dict[str, Study] = {
    **studies_training.STUDIES,
    **studies_images.STUDIES,
    **studies_time.STUDIES,
    **studies_exchange.STUDIES,
}
