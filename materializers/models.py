"""Policies and SAEs: folders in their own libraries' formats, so that other tools open them as they are."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from zenml import get_step_context
from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers.folder import FolderMaterializer
from saerl_core.config.run import RunConfig
from saerl_core.features.sae_folder import load_sae, save_sae
from saerl_core.records import PolicyRef, PromptFormat, SaeRef

_POLICY_FILE = "saerl_policy.json"


class PolicyMaterializer(FolderMaterializer):
    """Stores a Hugging Face model folder file by file; of a Hub model only its name."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (PolicyRef,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.MODEL

    def load(self, data_type: type[Any]) -> PolicyRef:
        """Load the reference; it points into the store, or into a downloaded copy.

        Its own code is trusted where the configuration of the running pipeline says so too: the store's word alone
        would let whoever can write to it run code here. Outside of a step nothing is trusted.
        """
        folder = self.local_folder()
        meta = json.loads((folder / _POLICY_FILE).read_text())
        meta["trust_remote_code"] = meta["trust_remote_code"] is True and _configuration_trusts()
        prompt_format = PromptFormat(**meta.pop("prompt_format", {}))  # policies of before this field read plain text
        path = str(folder) if meta["is_local"] else meta["path"]
        return PolicyRef(**{**meta, "path": path, "prompt_format": prompt_format})

    def save(self, data: PolicyRef) -> None:
        """Copy the model's files and write the reference beside them."""
        if data.is_local:
            self.upload(Path(data.path))
        with self.staging() as folder:
            meta = {**asdict(data), "path": None if data.is_local else data.path}
            (folder / _POLICY_FILE).write_text(json.dumps(meta))
            self.upload(folder)

    def compute_content_hash(self, data: PolicyRef) -> str | None:
        """Return the id, which is a hash of the weights, with the prompt format: both decide what it answers."""
        return f"{data.policy_id}:{data.prompt_format}"

    def extract_metadata(self, data: PolicyRef) -> dict[str, MetadataType]:
        """Describe the policy for the dashboard."""
        return {"policy_id": data.policy_id, "is_local": data.is_local}

    def save_visualizations(self, data: PolicyRef) -> dict[str, VisualizationType]:
        """Show the model's configuration."""
        rows: dict[str, object] = {"policy_id": data.policy_id}
        config = Path(data.path) / "config.json"
        if data.is_local and config.is_file():
            rows |= {k: v for k, v in json.loads(config.read_text()).items() if isinstance(v, int | float | str)}
        return {self.write_card("Policy", rows): VisualizationType.HTML}


def _configuration_trusts() -> bool:
    try:
        parameters = get_step_context().pipeline_run.config.parameters or {}
    except RuntimeError:  # nothing runs
        return False
    return RunConfig.model_validate(parameters.get("config", {})).policy.trust_remote_code


class SaeMaterializer(FolderMaterializer):
    """Stores an SAE in sae-lens' folder format."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (SaeRef,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.MODEL

    def load(self, data_type: type[Any]) -> SaeRef:
        """Load the reference; it points into the store, or into a downloaded copy."""
        return load_sae(self.local_folder())

    def save(self, data: SaeRef) -> None:
        """Copy the SAE's files to the store."""
        with self.staging() as folder:
            save_sae(data, folder / "sae")
            self.upload(folder / "sae")

    def compute_content_hash(self, data: SaeRef) -> str | None:
        """Return the id, which is a hash of the weights, with the place it reads from."""
        return f"{data.sae_id}:{data.hook_name}:{data.model}"

    def extract_metadata(self, data: SaeRef) -> dict[str, MetadataType]:
        """Describe the SAE for the dashboard."""
        return {
            "sae_id": data.sae_id,
            "hook_name": data.hook_name,
            "d_in": data.d_in,
            "d_sae": data.d_sae,
            "architecture": data.architecture,
        }

    def save_visualizations(self, data: SaeRef) -> dict[str, VisualizationType]:
        """Show what the SAE reads and how wide it is."""
        return {self.write_card("Sparse autoencoder", dict(self.extract_metadata(data))): VisualizationType.HTML}
