"""What a connection tells of a database, read in one read-only transaction, and the findings that follow from it."""

import hashlib
import time
from collections.abc import Iterator, Sequence

import asyncpg
import msgspec

from faas.database.migrations import files
from faas.database.pool import Connection
from faas.database.requirements import PRIVILEGES, find_problems
from faas.database.server_queries import Server, describe_server
from faas.doctor import queries
from faas.doctor.finding import Finding, fail, ok, warn
from faas.doctor.parts import pgmq_sql_version
from faas.doctor.queries import Migration, Pgmq, Table
from faas.doctor.secret_key import judge_secrets
from faas.secret_store.queries import KeyRow, list_keys
from faas.settings import Settings
from faas.shares import connections_of

CLOCK_DIFFERENCE_SECONDS = 60


class Facts(msgspec.Struct, frozen=True):
    """Everything that the checks read. `asked_at` is the local time at the midpoint of the query for the server's
    time; `migrations` is None when the role may not read them."""

    server: Server
    pgmq: Pgmq
    tables: Sequence[Table]
    migrations: Sequence[Migration] | None
    secret_keys: Sequence[KeyRow]
    asked_at: float


async def read_facts(connection: Connection) -> Facts:
    """Read everything. To be called in a read-only transaction. Raises what asyncpg raises."""
    began = time.time()
    server = await describe_server(connection)
    asked_at = (began + time.time()) / 2
    pgmq = await queries.describe_pgmq(connection)
    tables = await queries.list_tables(connection)
    migrations: list[Migration] | None = []
    if any(table.name == "schema_migrations" for table in tables):
        try:
            async with connection.transaction():  # a savepoint: a refusal ends this statement only
                migrations = await queries.list_migrations(connection)
        except asyncpg.InsufficientPrivilegeError:
            migrations = None
    readable = any(table.name == "secrets" and table.may_use for table in tables)
    secret_keys = await list_keys(connection) if readable else []
    return Facts(server, pgmq, tables, migrations, secret_keys, asked_at)


def judge(facts: Facts, place: str, settings: Settings) -> Iterator[Finding]:
    """Give the findings for `facts`; `place` is how messages name the database."""
    requirements = {finding.check: finding for finding in _judge_requirements(facts.server, place)}
    schema_problem = requirements.pop(PRIVILEGES, None)
    yield from requirements.values()
    yield _judge_pgmq(facts.pgmq)
    yield schema_problem or _judge_privileges(facts)
    yield _judge_migrations(facts, settings)
    yield _judge_connections(facts.server, settings)
    yield _judge_clock(facts)
    yield from judge_secrets(facts.secret_keys, settings)


def _judge_requirements(server: Server, place: str) -> Iterator[Finding]:
    found = {"postgres": ok("postgres", f"{server.version}, {place}"), "encoding": ok("encoding", server.encoding)}
    for problem in find_problems(server, place):
        found[problem.check] = fail(problem.check, problem.finding, problem.action)
    yield from found.values()


def _judge_pgmq(pgmq: Pgmq) -> Finding:
    if pgmq.installed:
        origin = f"extension {pgmq.extension}" if pgmq.extension else "installed from SQL"
        if not pgmq.has_headers:
            action = "ALTER EXTENSION pgmq UPDATE, after an update of the server's package"
            return fail("pgmq", f"{origin}: too old, its messages have no headers", action)
        return ok("pgmq", origin)
    if pgmq.available:
        return ok("pgmq", f"extension {pgmq.available} is available; the first start creates it")
    return ok("pgmq", f"not installed; the first start installs {pgmq_sql_version()}, SQL of the package pgmq")


def _judge_privileges(facts: Facts) -> Finding:
    server, name = facts.server, PRIVILEGES
    grants = []
    if not server.may_create_tables:  # the first statement of every start is CREATE TABLE IF NOT EXISTS
        grants.append((f"create tables in the schema {server.schema}", f'GRANT CREATE ON SCHEMA "{server.schema}"'))
    if not facts.pgmq.installed and not server.may_create_schemas:
        grants.append(("create the schema pgmq", f'GRANT CREATE ON DATABASE "{server.database}"'))
    if not facts.pgmq.may_use:
        grants.append(("use the schema pgmq", "GRANT USAGE ON SCHEMA pgmq"))
    unusable = [table.name for table in facts.tables if not table.may_use]
    if unusable:
        tables = ", ".join(unusable)
        grants.append((f"read and write {tables}", f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables}"))
    if grants:
        may_not = ", ".join(grant[0] for grant in grants)
        statements = "; ".join(f'{grant[1]} TO "{server.role}"' for grant in grants)
        return fail(name, f"the role {server.role} may not {may_not}", f"as an administrator: {statements}")
    foreign = [table.name for table in facts.tables if not table.may_alter]
    if foreign and _pending(facts):
        action = f'as an administrator: GRANT the owner\'s role TO "{server.role}", or migrate as the owner'
        return fail(name, f"migrations are pending, and {server.role} does not own {', '.join(foreign)}", action)
    return ok(name, f"{server.role} may create and use what faas needs")


def _pending(facts: Facts) -> list[str]:
    return [file.stem for file in files()[len(facts.migrations or []) :]] if facts.migrations is not None else []


def _judge_migrations(facts: Facts, settings: Settings) -> Finding:
    known, applied = files(), facts.migrations
    if applied is None:
        action = f'as an administrator: GRANT SELECT ON schema_migrations TO "{facts.server.role}"'
        return fail("migrations", "the table schema_migrations cannot be read", action)
    if len(applied) > len(known):
        found = f"the schema is at {applied[-1].name}, newer than this faas knows ({known[-1].stem})"
        return fail("migrations", found, "use the faas that migrated the database, or a newer one")
    for migration, file in zip(applied, known, strict=False):
        if migration.sha256 != hashlib.sha256(file.read_text().encode()).hexdigest():
            found = f"{file.stem} was changed after this database applied it"
            return fail("migrations", found, "use the faas that migrated the database")
    pending = _pending(facts)
    if not applied:
        return ok("migrations", f"the database is empty; the first start applies {len(pending)}")
    if pending:
        where = "--database-url URL" if settings.database_url else f"--data-dir {settings.data_dir}"
        action = f"`faas backup FILE {where}`, then `faas migrate`; `faas serve` migrates when it starts, too"
        return warn("migrations", f"{len(pending)} pending: {', '.join(pending)}", action)
    return ok("migrations", f"up to date at {known[-1].stem}")


def _judge_connections(server: Server, settings: Settings) -> Finding:
    needed = connections_of(settings)
    found = f"{server.free_connections} free, faas takes up to {needed}"
    if server.free_connections < needed:
        return warn("connections", found, "raise max_connections in Postgres, or lower --database-pool")
    return ok("connections", found)


def _judge_clock(facts: Facts) -> Finding:
    difference = facts.server.now.timestamp() - facts.asked_at
    if abs(difference) > CLOCK_DIFFERENCE_SECONDS:
        direction = "ahead of" if difference > 0 else "behind"
        found = f"the database's clock is {abs(difference):.0f} s {direction} this machine's"
        return warn("database-clock", found, "synchronize both clocks (NTP): times in one record come from both")
    return ok("database-clock", f"differs by {abs(difference):.1f} s from this machine's")
