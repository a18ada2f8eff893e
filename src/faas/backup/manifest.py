"""The manifest of a backup: `manifest.json`, the last entry of its archive."""

from datetime import datetime

import msgspec

from faas.errors import ConfigurationError

FORMAT = 1

# What a table refers to comes before it; the references of functions to their revisions are checked at the end of the
# transaction. `processes` is omitted: no process uses the restored database
# yet. The migrations create pgmq's own tables.
TABLES = (
    "functions",
    "engines",
    "modules",
    "revisions",
    "executions",
    "deleted_functions",
    "retention_marks",
    "tokens",
    "audit",
    "secrets",
    "pgmq.q_compilation_jobs",
    "pgmq.a_compilation_jobs",
    "pgmq.q_compilation_results",
    "pgmq.a_compilation_results",
)

PARTITIONED_TABLES = frozenset({"executions"})


class Column(msgspec.Struct, frozen=True):
    """A column and the name of its type in Postgres. Binary rows are restored only where both match."""

    name: str
    type: str


class Table(msgspec.Struct, frozen=True):
    """The entry `<name>.copy`: the rows of a table in the format of `COPY … (FORMAT binary)`."""

    name: str
    columns: list[Column]
    rows: int
    bytes: int
    sha256: str

    @property
    def entry(self) -> str:
        """The name of the entry in the archive."""
        return f"{self.name}.copy"


class Migration(msgspec.Struct, frozen=True):
    """A migration that was applied to the database."""

    name: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """The whole manifest. `queues` has the last message id that each queue assigned.

    `secret_keys` has the ids of the keys that the secrets are sealed under, which a backup does not hold.
    """

    format: int
    faas: str
    postgres: str
    pgmq: str
    taken_at: datetime
    migrations: list[Migration]
    queues: dict[str, int]
    tables: list[Table]
    secret_keys: list[str] = []

    def rows(self, table: str) -> int:
        """Return the number of rows of `table`."""
        return sum(found.rows for found in self.tables if found.name == table)


def decode(content: bytes) -> Manifest:
    """Decode a manifest. Raises ConfigurationError when it has a newer format, or is not a manifest."""
    try:
        decoded: object = msgspec.json.decode(content)
        head = decoded if isinstance(decoded, dict) else {}
        number = head.get("format")
        if isinstance(number, int) and number > FORMAT:
            raise ConfigurationError(
                f"its format is {number}, and this faas reads {FORMAT}: restore it with the faas that made it "
                f"({head.get('faas')}), or a newer one"
            )
        manifest = msgspec.convert(decoded, Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"its manifest does not decode: {error}") from None
    if unknown := {table.name for table in manifest.tables} - set(TABLES):
        raise ConfigurationError(f"its manifest names tables that are not of faas: {', '.join(sorted(unknown))}")
    return manifest
