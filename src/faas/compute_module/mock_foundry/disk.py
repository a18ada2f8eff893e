"""Where the stand-in keeps bytes: the inputs it is given and what is uploaded and committed.

    <inputs>/<rid>.csv
    <uploads>/<rid>/<transaction>/<path>
    <uploads>/<rid>/_committed/readTable.csv              the branch master
    <uploads>/<rid>/_branches/<branch>/readTable.csv      any other branch

Names come from clients: each is escaped so that it is one name in its folder, and file paths are refused when they
would leave it.
"""

import shutil
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from faas.compute_module.mock_foundry.answer import invalid

MASTER = "master"
_NAME_LIMIT = 255  # bytes, what file systems allow
_PATH_LIMIT = 1024  # bytes; Linux allows 4096, which the folders before it share


class Disk:
    """The two folders. Neither needs to exist before something is written."""

    def __init__(self, inputs: Path | None, uploads: Path) -> None:
        self.inputs = inputs
        self.uploads = uploads

    def input_files(self) -> list[Path]:
        """The tables that datasets begin with."""
        return sorted(self.inputs.glob("*.csv")) if self.inputs else []

    def input_file(self, dataset: str) -> Path | None:
        """The table that `dataset` begins with."""
        path = self.inputs / _name(dataset + ".csv") if self.inputs else None
        return path if path and path.is_file() else None

    def committed_file(self, dataset: str, branch: str) -> Path | None:
        """What was last committed on `branch`, by this process or an earlier one."""
        path = self._committed(dataset, branch)
        return path if path.is_file() else None

    def upload_path(self, dataset: str, transaction: str, path: str) -> Path:
        """Where a file of a transaction goes. Raises Refusal for a path that is none or leaves its folder."""
        parts = path.split("/")
        if "\0" in path or "\\" in path or any(part in {"", ".", ".."} for part in parts):
            raise invalid("InvalidFilePath", filePath=path)
        sizes = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
        if max(sizes) > _NAME_LIMIT or sum(sizes) + len(sizes) > _PATH_LIMIT:
            raise invalid("InvalidFilePath", filePath=path)
        return self.uploads / _name(dataset) / _name(transaction) / Path(*parts)

    def partial_path(self, dataset: str, transaction: str) -> Path:
        """Where an upload goes while it comes in."""
        return self.uploads / _name(dataset) / f".{_name(transaction)}.{uuid4().hex}.partial"

    def commit(self, dataset: str, branch: str, file: Path) -> None:
        """Make the bytes of `file` what `branch` reads, whole or not at all."""
        target = self._committed(dataset, branch)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{uuid4().hex}")
        shutil.copyfile(file, partial)
        partial.replace(target)

    def last_transaction_number(self) -> int:
        """The highest number among the transactions that earlier processes left, so that none is used twice."""
        numbers = [name.rpartition("txn-")[2] for name in _grandchildren(self.uploads) if ".transaction.txn-" in name]
        return max([int(number) for number in numbers if number.isascii() and number.isdigit()], default=0)

    def _committed(self, dataset: str, branch: str) -> Path:
        folder = self.uploads / _name(dataset)
        folder = folder / "_committed" if branch == MASTER else folder / "_branches" / _name(branch)
        return folder / "readTable.csv"


def _name(text: str) -> str:
    """`text` as one name in a folder. Raises Refusal when it is too long for one."""
    name = quote(text, safe=" !#$&'()+,;=@[]^`{}")
    if name in {".", ".."}:
        name = name.replace(".", "%2E")
    if len(name) > _NAME_LIMIT:
        raise invalid("InvalidArgument", reason="a name is too long")
    return name


def _grandchildren(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [entry.name for child in folder.iterdir() if child.is_dir() for entry in child.iterdir()]
