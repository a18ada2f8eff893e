"""Parts of the OpenAPI description that its operations share: parameters, bodies, answers and problems."""

from typing import Any

from faas.api.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from faas.api.schemas import Problem
from faas.function_settings import MAX_VARIABLES, VARIABLE_PATTERN

Schema = dict[str, Any]

NAME = "[a-zA-Z][a-zA-Z0-9._-]{0,63}"
UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
NUMBER = "[1-9][0-9]{0,8}"
_SPACE = "[\\t-\\r ]*"
_DIGIT = f"[A-Za-z0-9+/]{_SPACE}"
BASE64 = f"^{_SPACE}(({_DIGIT}){{4}})*(({_DIGIT}){{2}}(={_SPACE}){{2}}|({_DIGIT}){{3}}={_SPACE})?$"
REQUEST_ID = {"$ref": "#/components/headers/RequestId"}

_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}}}
_PROBLEM_HEADERS: dict[str, Schema] = {
    "s415": {"Accept-Encoding": {"schema": {"const": "identity"}}},
    "s429": _RETRY_AFTER,
    "s503": _RETRY_AFTER,
}


def ref_to(kind: type) -> Schema:
    """Return a reference to the schema of a struct of schemas.py."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def json_answer(schema: Schema, description: str, headers: Schema | None = None) -> Schema:
    """Return a response with a JSON body."""
    return {
        "description": description,
        "headers": {"X-Request-Id": REQUEST_ID, **(headers or {})},
        "content": {"application/json": {"schema": schema}},
    }


def problems(**descriptions: str) -> Schema:
    """Return problem responses; each parameter is a status and its description, as in `s404="…"`."""
    return {
        key[1:]: {
            "description": text,
            "headers": {"X-Request-Id": REQUEST_ID, **_PROBLEM_HEADERS.get(key, {})},
            "content": {"application/problem+json": {"schema": ref_to(Problem)}},
        }
        for key, text in descriptions.items()
    }


UNAVAILABLE = {"s503": "The database is unavailable; the change was not acknowledged."}
INVALID = {"s400": "A field is not valid; the detail names it."}
UNKNOWN_REVISION = {"s404": "The function or the revision does not exist."}
UNKNOWN = {"s404": "The function does not exist."}
ENCODED = {"s415": "The body has a content coding (Content-Encoding); accepted is identity."}
FUNCTION = {"$ref": "#/components/parameters/function"}
REVISION = {"$ref": "#/components/parameters/functionOrRevision"}
_ID_CURSOR = {"type": "string", "format": "uuid"}
LINK = {"Link": {"description": 'The next page, rel="next"; none on the last.', "schema": {"type": "string"}}}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def path_parameter(pattern: str, description: str, name: str = "id") -> Schema:
    """Return a parameter that is a part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": pattern},
    }


def page_parameters(cursor: Schema = _ID_CURSOR, **filters: tuple[str, ...]) -> list[Schema]:
    """Return the parameters of a list: `limit`, `cursor`, and a filter for each of `filters` with its values."""
    return [
        _query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE},
            "Items on a page.",
        ),
        _query("cursor", cursor, "Where the page starts; taken from a Link header."),
        *(
            _query(name, {"enum": list(values)}, f"Return only those with this {name}.")
            for name, values in filters.items()
        ),
    ]


def json_body(kind: type, required: bool, examples: dict[str, Any]) -> Schema:
    """Return a JSON request body of the struct `kind`, with examples by name."""
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"required": required, "content": {"application/json": {"schema": ref_to(kind), "examples": shown}}}


def describe_settings(schema: Schema) -> None:
    """Say in the schema of a function's settings what names and values of variables may be."""
    schema["properties"]["env"] |= {
        "propertyNames": {"pattern": f"^{VARIABLE_PATTERN}$"},
        "additionalProperties": {"type": "string", "pattern": "^[^\\u0000]*$"},
        "maxProperties": MAX_VARIABLES,
    }
    schema["properties"]["secrets"]["items"] |= {"pattern": f"^{VARIABLE_PATTERN}$"}
    schema["properties"]["outbound"]["items"] |= {"examples": ["https://api.example.com", "https://*.example.com"]}


def describe_limits(schema: Schema) -> None:
    """Say in the schema of a function's limits what each of them counts, and in which unit."""
    schema["description"] = "What narrows the limits of the server for one function; null leaves those of the server."
    for name, text in (
        ("time", "Seconds of one execution; at most the time limit of the server."),
        ("memory", "Bytes of linear memory of one execution; at most the memory limit of the server."),
        ("concurrency", "Executions of the function at once, in each process."),
        ("perSecond", "Starts of executions of the function per second, in each process."),
    ):
        schema["properties"][name]["description"] = text
