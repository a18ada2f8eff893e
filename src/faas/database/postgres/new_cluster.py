"""A cluster that is filled before it is the data directory's: all of it is there, or none."""

import os
import shutil
from pathlib import Path

from faas.database.postgres.server import EmbeddedPostgres
from faas.errors import ConfigurationError

# What a data directory without data may hold: our own, and what a fresh file system brings.
_NOTHING = {"lock", "artifacts", "postgres.log", ".postgres-initialising", ".postgres-restoring", "lost+found"}


class NewCluster(EmbeddedPostgres):
    """`start`, fill it at `url`, then `keep`; without that, `stop` leaves the data directory empty."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._name = self.cluster
        self.cluster = self.data_dir / ".postgres-restoring"

    async def keep(self) -> None:
        """Stop the server cleanly and give the cluster its name."""
        await self._end()
        if self._name.exists():  # as an empty folder: rename takes its place
            self._name.rmdir()
        self.cluster.rename(self._name)
        folder = os.open(self.data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def stop(self) -> None:
        """End the server, and take away what was not kept."""
        await self._end()
        if self._lock is not None:  # the directory is ours
            shutil.rmtree(self.cluster, ignore_errors=True)
        await super().stop()

    def _prepare(self) -> None:
        shutil.rmtree(self.cluster, ignore_errors=True)  # of a restore that was killed
        for path in self.data_dir.iterdir():
            if path.name not in _NOTHING and not (path == self._name and path.is_dir() and not any(path.iterdir())):
                raise ConfigurationError(
                    f"data directory {self.data_dir} is not empty, it has {path.name}: restore into an empty one"
                )
        super()._prepare()
