"""What faas needs of a server, a database and a role. A start refuses what `faas doctor` reports, for one reason."""

from collections.abc import Iterator

import msgspec

from faas.database.pool import MINIMUM_POSTGRES_MAJOR, Connection
from faas.database.server_queries import Server, describe_server
from faas.errors import ConfigurationError

PRIVILEGES = "privileges-in-database"  # the check of `faas doctor` that the search_path belongs to


class Problem(msgspec.Struct, frozen=True):
    """A requirement that is not met: the check of `faas doctor`, what was found, and what an operator does."""

    check: str
    finding: str
    action: str


def find_problems(server: Server, place: str) -> Iterator[Problem]:
    """Find what of `server` does not meet the requirements; `place` is how messages name it."""
    if server.major < MINIMUM_POSTGRES_MAJOR:
        found = f"{place}: {server.version}; faas needs {MINIMUM_POSTGRES_MAJOR} or newer"
        yield Problem("postgres", found, f"use Postgres {MINIMUM_POSTGRES_MAJOR} or newer")
    elif server.standby or server.read_only:
        kind = "a standby" if server.standby else "read-only (default_transaction_read_only)"
        found = f"{server.version}, {place}: it is {kind}"
        yield Problem("postgres", found, "give the URL of the primary, with writing on")
    if server.encoding != "UTF8":
        found = f"{server.encoding}: it cannot hold every text of JSON; faas needs UTF8"
        action = (
            f"create a database with ENCODING 'UTF8' TEMPLATE template0, and give its URL instead of {server.database}"
        )
        yield Problem("encoding", found, action)
    if server.schema is None or server.temporary_schema:
        wrong = "begins with the temporary schema" if server.temporary_schema else "has no schema that exists"
        action = f'CREATE SCHEMA, or ALTER ROLE "{server.role}" SET search_path'
        yield Problem(PRIVILEGES, f"the search_path of {server.role} {wrong}", action)


async def check_requirements(connection: Connection) -> None:
    """Raise ConfigurationError, with the first problem, when the database does not meet the requirements."""
    for problem in find_problems(await describe_server(connection), "the database"):
        raise ConfigurationError(f"the database cannot be used: {problem.finding}; {problem.action}")
