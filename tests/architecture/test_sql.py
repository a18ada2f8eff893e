"""The SQL statements: each is used, in the file of its package, on the tables of its package."""

import re
from pathlib import Path

import pytest

SQL = Path(__file__).parent.parent.parent / "sql"
SOURCES = Path(__file__).parent.parent.parent / "src" / "faas"

# Which tables, views and functions the statements of a package may name. What executions needs of a function it reads
# through the view that functions publishes.
OWN = {
    "functions": {"functions"},
    "executions": {"executions", "processes", "executable_functions"},
    "queue": {"pgmq", "archive_rejected"},
    "doctor": {"schema_migrations"},
    "backup": {"functions", "executions", "processes", "schema_migrations", "pgmq"},  # all there is
}
RELATIONS = {"functions", "executable_functions", "executions", "processes", "schema_migrations", "pgmq"}


def statements(package: str) -> dict[str, str]:
    text = (SQL / "queries" / f"{package}.sql").read_text()
    parts = re.split(r"^-- name: (\w+)\(.*$", text, flags=re.MULTILINE)
    return {name: body for name, body in zip(parts[1::2], parts[2::2], strict=True)}  # noqa: C416


def test_every_package_with_statements_is_known() -> None:
    assert {file.stem for file in (SQL / "queries").glob("*.sql")} == set(OWN)


@pytest.mark.parametrize("package", OWN)
def test_a_package_touches_its_own_tables_only(package: str) -> None:
    for name, body in statements(package).items():
        code = re.sub(r"--.*|'[^']*'", "", body)
        named = set(re.findall(r"(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:LATERAL\s+)?([a-z_]+)", code))
        foreign = named & RELATIONS - OWN[package]
        assert not foreign, f"{package}.{name} names {foreign}"


@pytest.mark.parametrize("package", OWN)
def test_every_statement_is_used_by_its_package(package: str) -> None:
    code = "\n".join(file.read_text() for file in (SOURCES / package).rglob("*.py"))
    for name in statements(package):
        assert re.search(rf"_sql\.{name}\(", code), f"{package}.sql: {name} is not used"


def test_statements_are_in_sql_files_not_in_the_code() -> None:
    """Only the modules below may contain SQL of their own: the schema, a ping, the embedded server's database."""
    allowed = {"database/migrations.py", "database/pool.py", "health.py", "queue/listener.py"}
    for file in SOURCES.rglob("*.py"):
        if str(file.relative_to(SOURCES)) not in allowed:
            found = re.findall(r'"(?:SELECT|INSERT|UPDATE|DELETE) .*', file.read_text())
            assert not found, f"{file}: {found}"


def test_every_table_is_explained() -> None:
    for file in (SQL / "migrations").glob("*.sql"):
        assert file.read_text().startswith("-- "), file
