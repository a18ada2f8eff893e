"""Folders for the data directories of tests."""

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 4 << 30


def make_data_folder(prefix: str) -> Path:
    """Create a folder for databases, in memory where there is space: each test waits for the disk several times.

    Postgres has the settings of the product there too. The caller deletes it.
    """
    in_memory = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _NEEDED_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if in_memory else "/tmp"))
