"""The batch plan: two parquet tables and their hash."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers.folder import FolderMaterializer
from saerl_core.plan.storage import load_plan, save_plan
from saerl_core.plans import BatchPlan, FixedPlan, OnlinePlan


class BatchPlanMaterializer(FolderMaterializer):
    """Stores a batch plan; a table edited in the store is refused when it is loaded."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (FixedPlan, OnlinePlan)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> BatchPlan:
        """Load the plan and verify its hash."""
        return load_plan(self.local_folder())

    def save(self, data: BatchPlan) -> None:
        """Write the plan to the store."""
        with self.staging() as folder:
            save_plan(data, folder / "plan")
            self.upload(folder / "plan")

    def compute_content_hash(self, data: BatchPlan) -> str | None:
        """Return the hash of the order, so that an equal plan keeps training cached."""
        return data.plan_hash

    def extract_metadata(self, data: BatchPlan) -> dict[str, MetadataType]:
        """Describe the plan for the dashboard."""
        return {
            "strategy": data.strategy,
            "plan_hash": data.plan_hash,
            "n_steps": data.n_steps,
            "prompts_per_step": data.prompts_per_step,
            "seed": data.seed,
        }

    def save_visualizations(self, data: BatchPlan) -> dict[str, VisualizationType]:
        """Show the batches, one row a step, and why prompts were left out."""
        steps = data.table.groupby("step").agg(
            mean_difficulty=("difficulty", "mean"), n_clusters=("cluster_id", "nunique"), mixed=("is_mixed", "mean")
        )
        reasons = data.decisions["reason"].value_counts().rename("prompts").to_frame()
        body = reasons.to_html() + steps.round(3).to_html(max_rows=200)
        return {self.write_card("Batch plan", dict(self.extract_metadata(data)), body): VisualizationType.HTML}
