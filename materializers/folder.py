"""Records that are a folder of files: written to a local folder, copied file by file, never tarred."""

import atexit
import html
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

from saerl_core.errors import BackendError


class FolderMaterializer(BaseMaterializer):
    """Base of materializers whose record saves itself into a folder and loads itself from one."""

    SKIP_REGISTRATION = True

    def upload(self, folder: Path, below: str = "") -> None:
        """Copy every file of `folder` into the artifact's uri, or into a folder of this name below it.

        Raises:
            BackendError: If the store is full or cannot be written; what was there before stays.
        """
        try:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                target = PurePosixPath(self.uri) / below / file.relative_to(folder).as_posix()
                fileio.makedirs(str(target.parent))
                fileio.copy(str(file), str(target), overwrite=True)
        except OSError as error:
            raise BackendError(
                f"artifact could not be written to {self.uri}: {error}; free space or choose another artifact store. "
                "Finished steps are kept: run the same command again"
            ) from error

    def local_folder(self) -> Path:
        """Return the artifact as a local folder: the store itself where it is local, else a downloaded copy.

        The copy lives until the process ends: records point into it.
        """
        local = Path(self.uri)
        if local.is_dir():
            return local
        target = Path(mkdtemp(prefix="saerl-artifact-"))
        atexit.register(shutil.rmtree, target, ignore_errors=True)  # on a cluster it lies on a volume that stays
        self._download(self.uri, target)
        return target

    def _download(self, uri: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name in fileio.listdir(uri):
            source = f"{uri}/{name}"
            if fileio.isdir(source):
                self._download(source, target / str(name))
            else:
                fileio.copy(source, str(target / str(name)), overwrite=True)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield an empty local folder that is removed afterwards."""
        folder = Path(mkdtemp(prefix="saerl-stage-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def write_card(self, title: str, rows: dict[str, object], body: str = "") -> str:
        """Write a small HTML card beside the artifact for the dashboard and return its uri; `body` is trusted HTML."""
        cells = "".join(
            f"<tr><th align=left>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows.items()
        )
        page = f"<h3>{html.escape(title)}</h3><table cellpadding=4>{cells}</table>{body}"
        uri = f"{self.uri}/card.html"
        with self.artifact_store.open(uri, "w") as file:
            file.write(page)
        return uri
