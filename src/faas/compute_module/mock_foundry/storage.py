"""The files of the mock Foundry: inputs, uploads and committed tables.

    <inputs>/<rid>.csv
    <uploads>/<rid>/<transaction>/<path>
    <uploads>/<rid>/_committed/readTable.csv              the branch master
    <uploads>/<rid>/_branches/<branch>/readTable.csv      any other branch

RIDs and branches come from clients: each is escaped to one name in its folder. File paths that leave their folder are
refused.
"""

import shutil
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from faas.compute_module.mock_foundry.responses import bad_request

DEFAULT_BRANCH = "master"
_MAX_NAME_BYTES = 255  # of Linux file systems
_MAX_PATH_BYTES = 1024  # Linux allows 4096 for the whole path, with the folders before this one


class Storage:
    """The input folder and the upload folder. Neither has to exist before the first write."""

    def __init__(self, inputs: Path | None, uploads: Path) -> None:
        self.inputs = inputs
        self.uploads = uploads

    def input_files(self) -> list[Path]:
        """Return the initial tables of datasets."""
        return sorted(self.inputs.glob("*.csv")) if self.inputs else []

    def input_file(self, dataset: str) -> Path | None:
        """Return the initial table of `dataset`."""
        path = self.inputs / _escape_name(dataset + ".csv") if self.inputs else None
        return path if path and path.is_file() else None

    def committed_file(self, dataset: str, branch: str) -> Path | None:
        """Return the table that was last committed on `branch`, by this process or an earlier one."""
        path = self._committed_table(dataset, branch)
        return path if path.is_file() else None

    def upload_path(self, dataset: str, transaction: str, path: str) -> Path:
        """Return the location of a transaction's file. Raises ErrorResponse for a path that leaves its folder."""
        parts = path.split("/")
        if "\0" in path or "\\" in path or any(part in {"", ".", ".."} for part in parts):
            raise bad_request("InvalidFilePath", filePath=path)
        sizes = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
        if max(sizes) > _MAX_NAME_BYTES or sum(sizes) + len(sizes) > _MAX_PATH_BYTES:
            raise bad_request("InvalidFilePath", filePath=path)
        return self.uploads / _escape_name(dataset) / _escape_name(transaction) / Path(*parts)

    def partial_path(self, dataset: str, transaction: str) -> Path:
        """Return the location of a file during its upload."""
        return self.uploads / _escape_name(dataset) / f".{_escape_name(transaction)}.{uuid4().hex}.partial"

    def commit(self, dataset: str, branch: str, file: Path) -> None:
        """Copy `file` to the table of `branch`, atomically."""
        target = self._committed_table(dataset, branch)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{uuid4().hex}")
        shutil.copyfile(file, partial)
        partial.replace(target)

    def last_transaction_number(self) -> int:
        """Return the highest number of the transactions of earlier processes, so that no number is used twice."""
        numbers = [
            name.rpartition("txn-")[2] for name in _names_at_depth_two(self.uploads) if ".transaction.txn-" in name
        ]
        return max([int(number) for number in numbers if number.isascii() and number.isdigit()], default=0)

    def _committed_table(self, dataset: str, branch: str) -> Path:
        folder = self.uploads / _escape_name(dataset)
        folder = folder / "_committed" if branch == DEFAULT_BRANCH else folder / "_branches" / _escape_name(branch)
        return folder / "readTable.csv"


def _escape_name(text: str) -> str:
    """Return `text` escaped to one name in a folder. Raises ErrorResponse when it is too long."""
    name = quote(text, safe=" !#$&'()+,;=@[]^`{}")
    if name in {".", ".."}:
        name = name.replace(".", "%2E")
    if len(name) > _MAX_NAME_BYTES:
        raise bad_request("InvalidArgument", reason="a name is too long")
    return name


def _names_at_depth_two(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [entry.name for child in folder.iterdir() if child.is_dir() for entry in child.iterdir()]
