"""The typed functions of every `queries.py`, compared with what Postgres reports about the statements.

Each function is called with arguments made from its annotations and a connection that records the statement. Postgres
prepares that statement: the types of its parameters must fit the recorded arguments, and its columns must be those of
the annotated row. aiosql itself rejects arguments whose names are not those of the statement.
"""

import collections.abc
import inspect
import re
import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import asyncpg
import msgspec
import pytest

from faas.database.pool import Connection, Pool
from faas.database.queries import load, sql_folder

SOURCES = Path(__file__).parents[3] / "src" / "faas"
# faas.database.queries is what loads the statements.
MODULES = {"database": "faas.database.server_queries"} | {
    file.parent.name: f"faas.{file.parent.name}.queries"
    for file in SOURCES.glob("*/queries.py")
    if file.parent.name != "database"
}
PACKAGES = sorted(MODULES)

# As asyncpg maps them, with the json codec of faas.database.pool.
PYTHON_TYPES = {
    "bool": bool,
    "bytea": bytes,
    "float8": float,
    "int2": int,
    "int4": int,
    "int8": int,
    "json": bytes,
    "jsonb": str,
    "name": str,
    "text": str,
    "timestamptz": datetime,
    "uuid": UUID,
}
SAMPLES: dict[object, object] = {
    bool: True,
    bytes: b"{}",
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    int: 1,
    float: 1.0,
    str: "x",
    UUID: UUID(int=1),
}


def statement_names(package: str) -> list[str]:
    names: list[str] = load(package).available_queries
    return [name for name in names if not name.endswith("_cursor")]


STATEMENTS = [(package, name) for package in PACKAGES for name in statement_names(package)]


class RecordedStatement(Exception):
    """Raised by RecordingConnection instead of running a statement."""

    def __init__(self, sql: str, arguments: tuple[object, ...]) -> None:
        self.sql = sql
        self.arguments = arguments


class RecordingConnection:
    """A connection that records the first statement."""

    async def fetch(self, sql: str, *arguments: object) -> object:
        raise RecordedStatement(sql, arguments)

    fetchrow = fetchval = execute = fetch


def typed_function(package: str, name: str) -> Callable[..., Any]:
    """Return the function `name` of the package's queries.py, or the method of a class there."""
    module = import_module(MODULES[package])
    classes = [
        value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__
    ]
    found = [getattr(owner, name) for owner in (module, *classes) if name in vars(owner)]
    assert len(found) == 1, f"{module.__name__} has {len(found)} functions named {name}"
    function: Callable[..., Any] = found[0]
    return function


def without_annotation(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def is_optional(hint: Any) -> bool:
    return types.NoneType in get_args(hint)


def without_none(hint: Any) -> Any:
    """Return `hint` without None, and the type of the values for Literal."""
    hint = without_annotation(hint)
    if get_origin(hint) in {Union, types.UnionType}:
        (hint,) = (each for each in get_args(hint) if each is not types.NoneType)
        return without_none(hint)
    return type(get_args(hint)[0]) if get_origin(hint) is Literal else hint


def sample(hint: Any, *, with_none: bool) -> object:
    """Return a value of the annotated type; None for optional types when `with_none`."""
    hint = without_annotation(hint)
    if with_none and is_optional(hint):
        return None
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    hint = without_none(hint)
    if get_origin(hint) in {list, collections.abc.Sequence}:
        return [sample(get_args(hint)[0], with_none=with_none)]
    if get_origin(hint) is tuple:
        return tuple(sample(member, with_none=with_none) for member in get_args(hint) if member is not Ellipsis)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        fields = get_type_hints(hint, include_extras=True)
        return hint(**{name: sample(field, with_none=with_none) for name, field in fields.items()})
    return SAMPLES[hint]


async def record(function: Callable[..., Any], *, with_none: bool) -> RecordedStatement:
    """Call `function` with sample arguments and return the statement that it runs."""
    hints = get_type_hints(function, include_extras=True)
    arguments: dict[str, object] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        assert parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}, name
        if name not in {"connection", "self"}:
            arguments[name] = sample(hints[name], with_none=with_none)
    with pytest.raises(RecordedStatement) as recorded:
        await function(RecordingConnection(), **arguments)
    return recorded.value


def row_columns(hint: Any) -> tuple[bool, dict[str, Any] | None, Any]:
    """Return whether the annotation is of many rows, the fields of its struct, and the type of its scalar."""
    many = get_origin(hint) in {list, set}
    row = without_none(get_args(hint)[0] if many else hint)
    if isinstance(row, type) and issubclass(row, msgspec.Struct):
        hints = get_type_hints(row, include_extras=True)
        return many, {field.name: hints[field.name] for field in msgspec.structs.fields(row)}, None
    return many, None, row


async def nullable_columns(connection: Connection, sql: str) -> dict[str, bool]:
    """Return, for columns of the tables that `sql` names, whether they may be NULL; without ambiguous ones.

    Outer joins make any column nullable, and an alias may hide another expression: those are unknown.
    """
    if re.search(r"\b(LEFT|RIGHT|FULL)\b", sql):
        return {}
    tables = re.findall(r"(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)\b(?!\.)", sql)
    rows = await connection.fetch(
        "SELECT attname, array_agg(DISTINCT attnotnull) AS not_null FROM pg_attribute "
        "JOIN pg_class ON pg_class.oid = attrelid WHERE relkind IN ('r', 'p') AND attnum > 0 "
        "AND attrelid = ANY (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) GROUP BY attname",
        tables,
    )
    known = {row["attname"]: not row["not_null"][0] for row in rows if len(row["not_null"]) == 1}
    return {name: nullable for name, nullable in known.items() if not re.search(rf"\bAS {name}\b", sql)}


def elements(type_: asyncpg.Type, argument: object) -> Iterator[tuple[str, object]]:
    """Yield the Postgres type and the value of `argument`, for an array those of its elements."""
    if type_.kind == "array" and argument is not None:
        assert isinstance(argument, collections.abc.Sequence)
        for value in argument:
            yield type_.name.removesuffix("[]"), value
    else:
        yield type_.name, argument


def test_query_types_covers_every_statement_file() -> None:
    assert set(PACKAGES) >= {file.stem for file in (sql_folder() / "queries").glob("*.sql")}
    assert len(STATEMENTS) >= 20


@pytest.mark.parametrize(("package", "name"), STATEMENTS)
async def test_query_types_parameters_fit_the_statement(package: str, name: str, pool: Pool) -> None:
    for with_none in (False, True):
        recorded = await record(typed_function(package, name), with_none=with_none)
        async with pool.acquire() as connection:
            parameters = (await connection.prepare(recorded.sql)).get_parameters()
        for parameter, argument in zip(parameters, recorded.arguments, strict=True):
            for type_name, value in elements(parameter, argument):
                assert value is None or type(value) is PYTHON_TYPES[type_name], (parameter, argument)


def element_type(hint: Any) -> Any:
    """Return the type of the elements of a list, and any other type as it is."""
    return get_args(hint)[0] if get_origin(hint) is list else hint


@pytest.mark.parametrize(("package", "name"), STATEMENTS)
async def test_query_types_rows_are_the_columns_of_the_statement(package: str, name: str, pool: Pool) -> None:
    function = typed_function(package, name)
    recorded = await record(function, with_none=False)
    async with pool.acquire() as connection:
        columns = {column.name: column.type for column in (await connection.prepare(recorded.sql)).get_attributes()}
        nullable = await nullable_columns(connection, recorded.sql)
    hint = get_type_hints(function, include_extras=True)["return"]
    many, fields, scalar = row_columns(hint)
    operation = getattr(load(package), name).operation.name
    assert many == (operation == "SELECT"), operation
    if operation == "INSERT_UPDATE_DELETE":
        assert (columns, hint) == ({}, types.NoneType)
    elif fields is None:
        ((_, type_),) = columns.items()
        assert PYTHON_TYPES[type_.name] is scalar
    else:
        assert list(fields) == list(columns)
        for column, field in fields.items():
            assert element_type(without_none(field)) is PYTHON_TYPES[columns[column].name.removesuffix("[]")], column
            if column in nullable:
                assert is_optional(field) == nullable[column], f"{column}: nullable is {nullable[column]}"
