"""What a backup says of itself: the last entry of its archive, `manifest.json`."""

from datetime import datetime
from typing import Any

import msgspec

from faas.errors import ConfigurationError

FORMAT = 1

# Functions stand before the executions that refer to them. `processes` is left out: none of them lives in the restored
# database. What pgmq keeps of its queues is made anew by the migrations.
TABLES = (
    "functions",
    "executions",
    "pgmq.q_compilation_jobs",
    "pgmq.a_compilation_jobs",
    "pgmq.q_compilation_results",
    "pgmq.a_compilation_results",
)


class Column(msgspec.Struct, frozen=True):
    """A column, and its type in Postgres' words: binary rows are read only where both are the same."""

    name: str
    type: str


class Table(msgspec.Struct, frozen=True):
    """One entry `<name>.copy`: the rows of a table as `COPY … (FORMAT binary)` gives them."""

    name: str
    columns: list[Column]
    rows: int
    bytes: int
    sha256: str

    @property
    def entry(self) -> str:
        """Its name in the archive."""
        return f"{self.name}.copy"


class Migration(msgspec.Struct, frozen=True):
    """A migration that the database had applied."""

    name: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """All of it. `queues` says for each queue the last message id that was given out."""

    format: int
    faas: str
    postgres: str
    pgmq: str
    taken_at: datetime
    migrations: list[Migration]
    queues: dict[str, int]
    tables: list[Table]

    def rows(self, table: str) -> int:
        """How many rows of `table` there are."""
        return sum(found.rows for found in self.tables if found.name == table)


def decode(content: bytes) -> Manifest:
    """The manifest that `content` holds. Raises ConfigurationError when it is of a newer format, or is none."""
    try:
        stated: Any = msgspec.json.decode(content)
        number = stated.get("format") if isinstance(stated, dict) else None
        if isinstance(number, int) and number > FORMAT:
            raise ConfigurationError(
                f"its format is {number}, and this faas reads {FORMAT}: restore it with the faas that made it "
                f"({stated.get('faas')}), or a newer one"
            )
        manifest = msgspec.convert(stated, Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"its manifest does not decode: {error}") from None
    if unknown := {table.name for table in manifest.tables} - set(TABLES):
        raise ConfigurationError(f"its manifest names tables that are not of faas: {', '.join(sorted(unknown))}")
    return manifest
