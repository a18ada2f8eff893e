"""The SQL statements: all used, in the file of their package, and on the tables of their package only."""

import re
from pathlib import Path

import pytest

SQL = Path(__file__).parent.parent.parent / "sql"
SOURCES = Path(__file__).parent.parent.parent / "src" / "faas"

# The relations and functions that the statements of a package may name. `executions` reads functions through the view
# that `functions` publishes.
ALLOWED_RELATIONS = {
    "functions": {
        "functions",
        "revisions",
        "modules",
        "unreferenced_modules",
        "revisions_in_flight",
        "deleted_functions",
        "engines",
    },
    "engines": {"engines", "modules", "unreferenced_modules"},
    "executions": {
        "executions",
        "processes",
        "executable_functions",
        "executable_revisions",
        "executable_modules",
        "executable_settings",
    },
    "access": {"tokens", "token_changes"},
    "audit": {"audit"},
    "secret_store": {"secrets", "revision_secrets"},
    "queue": {"pgmq", "archive_rejected"},
    "database": set(),
    "doctor": {"schema_migrations"},
    "backup": {
        "functions",
        "revisions",
        "engines",
        "modules",
        "executions",
        "processes",
        "schema_migrations",
        "pgmq",
    },  # all relations
    "retention": {"executions", "deleted_functions", "retention_marks", "pgmq"},
}
RELATIONS = set().union(*ALLOWED_RELATIONS.values())


def statements_by_name(package: str) -> dict[str, str]:
    text = (SQL / "queries" / f"{package}.sql").read_text()
    parts = re.split(r"^-- name: (\w+)\(.*$", text, flags=re.MULTILINE)
    return {name: body for name, body in zip(parts[1::2], parts[2::2], strict=True)}  # noqa: C416


def test_sql_every_file_has_a_package() -> None:
    assert {file.stem for file in (SQL / "queries").glob("*.sql")} == set(ALLOWED_RELATIONS)


@pytest.mark.parametrize("package", ALLOWED_RELATIONS)
def test_sql_package_names_its_own_relations_only(package: str) -> None:
    for name, body in statements_by_name(package).items():
        code = re.sub(r"--.*|'[^']*'", "", body)
        named = set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:LATERAL\s+)?([a-z_]+)", code))
        foreign = named & RELATIONS - ALLOWED_RELATIONS[package]
        assert not foreign, f"{package}.{name} names {foreign}"


@pytest.mark.parametrize("package", ALLOWED_RELATIONS)
def test_sql_every_statement_is_used(package: str) -> None:
    code = "\n".join(file.read_text() for file in (SOURCES / package).rglob("*.py"))
    for name in statements_by_name(package):
        assert re.search(rf"_sql\.{name}\(", code), f"{package}.sql: {name} is unused"


def test_sql_is_not_in_python_code() -> None:
    """Exceptions: the schema, the settings of sessions, health pings, the creation of the embedded server's database."""
    allowed = {"database/migrations.py", "database/pool.py", "database/session.py", "health.py", "queue/listener.py"}
    for file in SOURCES.rglob("*.py"):
        if str(file.relative_to(SOURCES)) not in allowed:
            found = re.findall(r'"(?:SELECT|INSERT|UPDATE|DELETE) .*', file.read_text())
            assert not found, f"{file}: {found}"


def test_sql_every_migration_begins_with_a_comment() -> None:
    for file in (SQL / "migrations").glob("*.sql"):
        assert file.read_text().startswith("-- "), file
