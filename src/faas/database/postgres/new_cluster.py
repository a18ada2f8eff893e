"""A cluster that becomes the data directory's only when it is complete, for a restore."""

import os
import shutil
from pathlib import Path

from faas.database.postgres.server import EmbeddedPostgres
from faas.errors import ConfigurationError

# Entries of a data directory that hold no data: those of faas, and those of a new file system.
_IGNORED_ENTRIES = {
    "lock",
    "secret.key",  # put there before the restore, whose secrets it opens
    "artifacts",
    "postgres.log",
    ".postgres-initialising",
    ".postgres-restoring",
    "lost+found",
}


class NewCluster(EmbeddedPostgres):
    """A cluster under a temporary name: `start`, fill it at `url`, `publish`, `stop`.

    Without `publish`, `stop` deletes it and the data directory stays empty.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._final_path = self.cluster
        self.cluster = self.data_dir / ".postgres-restoring"

    async def publish(self) -> None:
        """Stop the server cleanly and rename the cluster to its final name."""
        await self._stop_server()
        if self._final_path.exists():  # as an empty folder
            self._final_path.rmdir()
        self.cluster.rename(self._final_path)
        folder = os.open(self.data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def stop(self) -> None:
        """Stop the server, delete a cluster that was not published and unlock the data directory."""
        await self._stop_server()
        if self._lock is not None:  # this process has the data directory
            shutil.rmtree(self.cluster, ignore_errors=True)
        await super().stop()

    def _prepare_cluster(self) -> None:
        shutil.rmtree(self.cluster, ignore_errors=True)  # of a restore that was killed
        for path in self.data_dir.iterdir():
            if path.name not in _IGNORED_ENTRIES and not self._is_empty_final_path(path):
                raise ConfigurationError(
                    f"data directory {self.data_dir} is not empty, it has {path.name}: restore into an empty one"
                )
        super()._prepare_cluster()

    def _is_empty_final_path(self, path: Path) -> bool:
        return path == self._final_path and path.is_dir() and not any(path.iterdir())
