"""A plan for other trainers: the exported folders, file by file."""

from typing import Any, ClassVar

from zenml.enums import ArtifactType
from zenml.metadata.metadata_types import MetadataType

from materializers.folder import FolderMaterializer
from saerl_core.records import ExportedPlans


class ExportedPlansMaterializer(FolderMaterializer):
    """Stores exported plans as they are: one folder a format."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (ExportedPlans,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> ExportedPlans:
        """Load the record; it points into the store, or into a downloaded copy."""
        folder = self.local_folder()
        return ExportedPlans(folder, tuple(sorted(path.name for path in folder.iterdir() if path.is_dir())))

    def save(self, data: ExportedPlans) -> None:
        """Copy the folders to the store."""
        for name in data.formats:
            self.upload(data.folder / name, name)

    def extract_metadata(self, data: ExportedPlans) -> dict[str, MetadataType]:
        """Describe the export for the dashboard."""
        return {"formats": ", ".join(data.formats)}
