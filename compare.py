"""Makes the literal `zenml pipeline run compare` work; see `saerl.py`."""

import sys

from pipelines.base import as_command
from pipelines.comparing import compare_pipeline

sys.modules[__name__] = as_command(compare_pipeline)  # type: ignore[assignment]
