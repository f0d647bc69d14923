"""How our records are stored: one materializer a record that ZenML has none for; nothing is pickled.

Tables use ZenML's pandas materializer (parquet), reports its pydantic one (JSON), the page its HTML string.
"""

from materializers.arrays import (
    ControlFeaturesMaterializer,
    LinearProbeMaterializer,
    PromptVectorsMaterializer,
    SaeFeaturesMaterializer,
)
from materializers.exports import ExportedPlansMaterializer
from materializers.models import PolicyMaterializer, SaeMaterializer
from materializers.plan import BatchPlanMaterializer
from materializers.shards import ShardMaterializer

__all__ = [
    "BatchPlanMaterializer",
    "ControlFeaturesMaterializer",
    "ExportedPlansMaterializer",
    "LinearProbeMaterializer",
    "PolicyMaterializer",
    "PromptVectorsMaterializer",
    "SaeFeaturesMaterializer",
    "SaeMaterializer",
    "ShardMaterializer",
]
