"""Makes the literal `zenml pipeline run saerl` work.

ZenML imports the word after `run` as a module and expects a pipeline object. Python's import returns whatever stands in
`sys.modules`, so this leaf module puts the pipeline itself there. Nothing else may import it.
"""

import sys

from pipelines.base import as_command
from pipelines.training import saerl_pipeline

sys.modules[__name__] = as_command(saerl_pipeline)  # type: ignore[assignment]
