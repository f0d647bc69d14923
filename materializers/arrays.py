"""Feature matrices and linear probes: arrays with JSON beside them."""

import hashlib
import json
from typing import Any, ClassVar

import numpy as np
from safetensors.numpy import load_file, save_file
from zenml.enums import ArtifactType, VisualizationType
from zenml.metadata.metadata_types import MetadataType

from materializers.folder import FolderMaterializer
from saerl_core.disk import read_array
from saerl_core.features.storage import (
    content_hash,
    load_control_features,
    load_features,
    save_control_features,
    save_features,
)
from saerl_core.records import ControlFeatures, LinearProbe, PromptVectors, SaeFeatures


class SaeFeaturesMaterializer(FolderMaterializer):
    """Stores a CSR matrix as three npy files with its prompt ids and meta data."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (SaeFeatures,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> SaeFeatures:
        """Load the features from the store."""
        return load_features(self.local_folder())

    def save(self, data: SaeFeatures) -> None:
        """Write the features to the store."""
        with self.staging() as folder:
            save_features(data, folder / "features")
            self.upload(folder / "features")

    def compute_content_hash(self, data: SaeFeatures) -> str | None:
        """Hash the content, so that equal features from a re-run keep what follows cached."""
        return content_hash(data)

    def extract_metadata(self, data: SaeFeatures) -> dict[str, MetadataType]:
        """Describe the matrix for the dashboard."""
        n, d_sae = data.matrix.shape
        return {
            "n_prompts": int(n),
            "d_sae": int(d_sae),
            "nnz_per_prompt": float(data.matrix.nnz / max(1, n)),
            "sae_id": data.meta.sae_id,
            "hook_name": data.meta.hook_name,
            "pooling": data.meta.pooling,
        }

    def save_visualizations(self, data: SaeFeatures) -> dict[str, VisualizationType]:
        """List the features that are active in most prompts."""
        active = np.bincount(data.matrix.indices, minlength=data.matrix.shape[1]) / max(1, data.matrix.shape[0])
        top = np.argsort(-active)[:20]
        rows: dict[str, object] = {f"latent {i}": f"active in {active[i]:.1%} of prompts" for i in top}
        return {self.write_card("SAE features", {"shape": data.matrix.shape, **rows}): VisualizationType.HTML}


class ControlFeaturesMaterializer(FolderMaterializer):
    """Stores the dense activations and the frozen random SAE's rows."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (ControlFeatures,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> ControlFeatures:
        """Load the control features from the store."""
        return load_control_features(self.local_folder())

    def save(self, data: ControlFeatures) -> None:
        """Write the control features to the store."""
        with self.staging() as folder:
            save_control_features(data, folder / "controls")
            self.upload(folder / "controls")

    def extract_metadata(self, data: ControlFeatures) -> dict[str, MetadataType]:
        """Describe the matrices for the dashboard."""
        return {"n_prompts": len(data.prompt_ids), "d_in": int(data.dense.shape[1])}

    def save_visualizations(self, data: ControlFeatures) -> dict[str, VisualizationType]:
        """Show the shapes of the two controls."""
        rows: dict[str, object] = {"dense": data.dense.shape, "random SAE": data.random_sae.shape}
        return {self.write_card("Control features", rows): VisualizationType.HTML}


class LinearProbeMaterializer(FolderMaterializer):
    """Stores a linear probe as safetensors."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (LinearProbe,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.MODEL

    def load(self, data_type: type[Any]) -> LinearProbe:
        """Load the probe from the store."""
        folder = self.local_folder()
        meta = json.loads((folder / "probe.json").read_text())
        weights = load_file(folder / "probe.safetensors")["weights"]
        return LinearProbe(name=meta["name"], weights=weights, intercept=meta["intercept"])

    def save(self, data: LinearProbe) -> None:
        """Write the probe to the store."""
        with self.staging() as folder:
            save_file({"weights": np.ascontiguousarray(data.weights)}, folder / "probe.safetensors")
            (folder / "probe.json").write_text(json.dumps({"name": data.name, "intercept": float(data.intercept)}))
            self.upload(folder)

    def extract_metadata(self, data: LinearProbe) -> dict[str, MetadataType]:
        """Describe the probe for the dashboard."""
        return {"name": data.name, "n_features": int(data.weights.size), "n_nonzero": int((data.weights != 0).sum())}

    def save_visualizations(self, data: LinearProbe) -> dict[str, VisualizationType]:
        """List the strongest weights."""
        top = np.argsort(-np.abs(data.weights))[:20]
        rows: dict[str, object] = {f"latent {i}": f"{data.weights[i]:+.4f}" for i in top}
        return {self.write_card(f"Probe {data.name}", rows): VisualizationType.HTML}


class PromptVectorsMaterializer(FolderMaterializer):
    """Stores the vectors of the prompts as npy with their ids beside them."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (PromptVectors,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> PromptVectors:
        """Load the vectors from the store."""
        folder = self.local_folder()
        ids = tuple(json.loads((folder / "prompt_ids.json").read_text()))
        return PromptVectors(ids, read_array(folder / "vectors.npy"))

    def save(self, data: PromptVectors) -> None:
        """Write the vectors to the store."""
        with self.staging() as folder:
            np.save(folder / "vectors.npy", data.matrix, allow_pickle=False)
            (folder / "prompt_ids.json").write_text(json.dumps(data.prompt_ids))
            self.upload(folder)

    def compute_content_hash(self, data: PromptVectors) -> str | None:
        """Hash the content, so that equal vectors from a re-run keep what follows cached."""
        digest = hashlib.sha256("\0".join(data.prompt_ids).encode())
        digest.update(np.ascontiguousarray(data.matrix).tobytes())
        return digest.hexdigest()

    def extract_metadata(self, data: PromptVectors) -> dict[str, MetadataType]:
        """Describe the vectors for the dashboard."""
        return {"n_prompts": len(data.prompt_ids), "n_columns": int(data.matrix.shape[1])}

    def save_visualizations(self, data: PromptVectors) -> dict[str, VisualizationType]:
        """Show the shape."""
        return {self.write_card("Prompt vectors", {"shape": data.matrix.shape}): VisualizationType.HTML}
