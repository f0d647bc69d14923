"""Shards of a pool: one file each, which says itself whether it is whole."""

import shutil
from pathlib import PurePosixPath
from typing import Any, ClassVar

from zenml.enums import ArtifactType
from zenml.metadata.metadata_types import MetadataType

from materializers.folder import FolderMaterializer
from saerl_core.errors import DataError
from saerl_core.shards import WHOLE, ShardResult, content_hash, load_shard, save_shard


class ShardMaterializer(FolderMaterializer):
    """Stores what came of one shard of a pool."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (ShardResult,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def load(self, data_type: type[Any]) -> ShardResult:
        """Load the shard from the store; where its file is gone or damaged, a shard that says so.

        ZenML keeps no error of a materializer with the run; whoever merges the shards raises it instead.
        """
        folder = self.local_folder()
        try:
            return load_shard(folder)
        except DataError as error:
            return ShardResult("", WHOLE, {}, damage=self._way_out(str(error)))
        finally:
            if str(folder) != self.uri:
                shutil.rmtree(folder, ignore_errors=True)  # the record is in memory, and a pool has many shards

    def save(self, data: ShardResult) -> None:
        """Write the shard to the store."""
        with self.staging() as folder:
            save_shard(data, folder / "shard")
            self.upload(folder / "shard")

    def compute_content_hash(self, data: ShardResult) -> str | None:
        """Hash the content, so that an equal shard from a repetition keeps what follows cached."""
        return content_hash(data)

    def extract_metadata(self, data: ShardResult) -> dict[str, MetadataType]:
        """Say which shard it is."""
        return {"stage": data.stage, "shard": data.shard.index, "n_shards": data.shard.n, "seconds": data.seconds}

    def _way_out(self, problem: str) -> str:
        """Return the sentence about a damaged shard; ZenML's uri holds the name of its step."""
        steps = [part for part in PurePosixPath(self.uri).parts if "_shard_" in part]
        if not steps:
            return f"a shard of the pool is damaged: {problem}; repeat it"
        return (
            f"the artifact of {steps[0]} is damaged: {problem}; to repeat this shard alone, put "
            f"`steps: {{{steps[0]}: {{enable_cache: false}}}}` into the run file, once"
        )
