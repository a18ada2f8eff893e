"""The API's OpenAPI 3.1 description. Its schemas come from schemas.py; the rest is written out here.

It is not generated from the handlers, because they take bodies as bytes, answer with problems and paginate by `Link`,
none of which a generator finds. A test compares the description with the routes
(docs/decisions/0006-openapi-by-hand.md).
"""

from functools import cache
from typing import Any, get_args

import msgspec

from faas import __version__
from faas.api.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from faas.api.schemas import (
    ExecutionRecordResponse,
    ExecutionRequest,
    ExecutionResponse,
    FunctionCreateRequest,
    FunctionResponse,
    FunctionSummaryResponse,
    FunctionUpdateRequest,
    Health,
    Problem,
    PromoteRequest,
    RevisionResponse,
)
from faas.executions.model import Status as ExecutionStatus
from faas.functions.model import Status as FunctionStatus
from faas.functions.validation import DESCRIPTION_LIMIT_CHARACTERS
from faas.languages import Language

_Schema = dict[str, Any]

_ECHO = {
    "name": "echo",
    "language": "assemblyscript",
    "source": "export function handle(input: string): string { return input; }",
}
_NAME = "[a-zA-Z][a-zA-Z0-9._-]{0,63}"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_NUMBER = "[1-9][0-9]{0,8}"
_SPACE = "[\\t-\\r ]*"
_DIGIT = f"[A-Za-z0-9+/]{_SPACE}"
_BASE64 = f"^{_SPACE}(({_DIGIT}){{4}})*(({_DIGIT}){{2}}(={_SPACE}){{2}}|({_DIGIT}){{3}}={_SPACE})?$"
_REQUEST_ID = {"$ref": "#/components/headers/RequestId"}

_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}}}
_PROBLEM_HEADERS: dict[str, _Schema] = {
    "s415": {"Accept-Encoding": {"schema": {"const": "identity"}}},
    "s429": _RETRY_AFTER,
    "s503": _RETRY_AFTER,
}


def _ref(kind: type) -> _Schema:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _json(schema: _Schema, description: str, headers: _Schema | None = None) -> _Schema:
    return {
        "description": description,
        "headers": {"X-Request-Id": _REQUEST_ID, **(headers or {})},
        "content": {"application/json": {"schema": schema}},
    }


def _problems(**descriptions: str) -> _Schema:
    """Return problem responses; each parameter is a status and its description, as in `s404="…"`."""
    return {
        key[1:]: {
            "description": text,
            "headers": {"X-Request-Id": _REQUEST_ID, **_PROBLEM_HEADERS.get(key, {})},
            "content": {"application/problem+json": {"schema": _ref(Problem)}},
        }
        for key, text in descriptions.items()
    }


_UNAVAILABLE = {"s503": "The database is unavailable; the change was not acknowledged."}
_INVALID = {"s400": "A field is not valid; the detail names it."}
_UNKNOWN_REVISION = {"s404": "The function or the revision does not exist."}
_UNKNOWN = {"s404": "The function does not exist."}
_ENCODED = {"s415": "The body has a content coding (Content-Encoding); accepted is identity."}
_FUNCTION = {"$ref": "#/components/parameters/function"}
_REVISION = {"$ref": "#/components/parameters/functionOrRevision"}
_ID_CURSOR = {"type": "string", "format": "uuid"}
_LINK = {"Link": {"description": 'The next page, rel="next"; none on the last.', "schema": {"type": "string"}}}


def _query(name: str, schema: _Schema, description: str) -> _Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _path_parameter(pattern: str, description: str, name: str = "id") -> _Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": pattern},
    }


def _page_parameters(cursor: _Schema = _ID_CURSOR, **filters: tuple[str, ...]) -> list[_Schema]:
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


def _body(kind: type, required: bool, examples: dict[str, Any]) -> _Schema:
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"required": required, "content": {"application/json": {"schema": _ref(kind), "examples": shown}}}


def _functions() -> _Schema:
    too_large = {"s413": "The source is larger than its limit."}
    taken = {"s409": "Another function has this name."}
    return {
        "/functions": {
            "post": {
                "operationId": "createFunction",
                "summary": "Create a function",
                "description": "The function is PENDING; it is compiled in the background and ends READY or FAILED.",
                "tags": ["functions"],
                "requestBody": _body(FunctionCreateRequest, True, {"echo": _ECHO}),
                "responses": {
                    "201": {
                        **_json(
                            _ref(FunctionResponse),
                            "Created.",
                            {"Location": {"schema": {"type": "string"}, "description": "The function's address."}},
                        ),
                        "links": {
                            "get": {"operationId": "getFunction", "parameters": {"id": "$response.body#/id"}},
                            "update": {"operationId": "updateFunction", "parameters": {"id": "$response.body#/id"}},
                            "delete": {"operationId": "deleteFunction", "parameters": {"id": "$response.body#/id"}},
                            "execute": {"operationId": "executeFunction", "parameters": {"id": "$response.body#/id"}},
                            "executions": {
                                "operationId": "listExecutions",
                                "parameters": {"id": "$response.body#/id"},
                            },
                        },
                    },
                    **_problems(**_INVALID, **taken, **too_large, **_ENCODED, **_UNAVAILABLE),
                },
            },
            "get": {
                "operationId": "listFunctions",
                "summary": "List functions",
                "description": "Newest first, without their sources.",
                "tags": ["functions"],
                "parameters": _page_parameters(status=get_args(FunctionStatus), language=get_args(Language)),
                "responses": {
                    "200": _json({"type": "array", "items": _ref(FunctionSummaryResponse)}, "A page.", _LINK),
                    **_problems(**_INVALID, **_UNAVAILABLE),
                },
            },
        },
        "/functions/{id}": {
            "get": {
                "operationId": "getFunction",
                "parameters": [_REVISION],
                "summary": "Get a function",
                "description": "As its live revision shows it, or the revision N of `name@N`.",
                "tags": ["functions"],
                "responses": {
                    "200": _json(_ref(FunctionResponse), "The function."),
                    **_problems(**_INVALID, **_UNKNOWN, **_UNAVAILABLE),
                },
            },
            "put": {
                "operationId": "updateFunction",
                "parameters": [_FUNCTION],
                "summary": "Update a function",
                "description": "Another source, language or other settings make a new revision. The live revision "
                "serves until the new one is READY; `latest` tells how the new one fares.",
                "tags": ["functions"],
                "requestBody": _body(FunctionUpdateRequest, True, {"echo": _ECHO}),
                "responses": {
                    "200": _json(_ref(FunctionResponse), "The updated function."),
                    **_problems(**_INVALID, **_UNKNOWN, **taken, **too_large, **_ENCODED, **_UNAVAILABLE),
                },
            },
            "delete": {
                "operationId": "deleteFunction",
                "parameters": [_FUNCTION],
                "summary": "Delete a function",
                "description": "Its revisions and executions are deleted with it.",
                "tags": ["functions"],
                "responses": {
                    "204": {"description": "Deleted.", "headers": {"X-Request-Id": _REQUEST_ID}},
                    **_problems(**_INVALID, **_UNKNOWN, **_UNAVAILABLE),
                },
            },
        },
    }


def _revisions() -> _Schema:
    cursor = {"type": "string", "pattern": f"^{_NUMBER}$"}
    return {
        "/functions/{id}/revisions": {
            "parameters": [_FUNCTION],
            "get": {
                "operationId": "listRevisions",
                "summary": "List a function's revisions",
                "description": "Newest first, with their sources; a page is shorter when these are large.",
                "tags": ["revisions"],
                "parameters": _page_parameters(cursor),
                "responses": {
                    "200": _json({"type": "array", "items": _ref(RevisionResponse)}, "A page.", _LINK),
                    **_problems(**_INVALID, **_UNKNOWN, **_UNAVAILABLE),
                },
            },
        },
        "/functions/{id}/revisions/{number}": {
            "parameters": [_FUNCTION, _path_parameter(f"^{_NUMBER}$", "The number of the revision.", "number")],
            "get": {
                "operationId": "getRevision",
                "summary": "Get a revision",
                "tags": ["revisions"],
                "responses": {
                    "200": _json(_ref(RevisionResponse), "The revision."),
                    **_problems(**_INVALID, **_UNKNOWN_REVISION, **_UNAVAILABLE),
                },
            },
        },
        "/functions/{id}/promote": {
            "parameters": [_FUNCTION],
            "post": {
                "operationId": "promoteRevision",
                "summary": "Promote a revision",
                "description": "The revision runs for every call that begins after the response. Revisions that wait "
                "for their compilation no longer go live by themselves.",
                "tags": ["revisions"],
                "requestBody": _body(PromoteRequest, True, {"second": {"revision": 2}}),
                "responses": {
                    "200": _json(_ref(FunctionResponse), "The function, with that revision live."),
                    **_problems(
                        **_INVALID, **_UNKNOWN_REVISION, s409="The revision is not READY.", **_ENCODED, **_UNAVAILABLE
                    ),
                },
            },
        },
        "/functions/{id}/rollback": {
            "parameters": [_FUNCTION],
            "post": {
                "operationId": "rollBackFunction",
                "summary": "Roll a function back",
                "description": "The revision that was live before the present one is live again; a second time the one "
                "before that.",
                "tags": ["revisions"],
                "responses": {
                    "200": _json(_ref(FunctionResponse), "The function, with the earlier revision live."),
                    **_problems(
                        **_INVALID, **_UNKNOWN, s409="No earlier live revision is kept.", **_ENCODED, **_UNAVAILABLE
                    ),
                },
            },
        },
    }


def _executions() -> _Schema:
    return {
        "/functions/{id}/execute": {
            "parameters": [_REVISION],
            "post": {
                "operationId": "executeFunction",
                "summary": "Execute a function",
                "description": "A function that traps, exceeds its time or memory limit, or returns invalid JSON is "
                "a 200 with status FAILED: the request succeeded, and the execution is recorded.",
                "tags": ["executions"],
                "requestBody": _body(ExecutionRequest, False, {"numbers": {"input": {"a": 1, "b": 2}}}),
                "responses": {
                    "200": {
                        **_json(_ref(ExecutionResponse), "Executed: COMPLETED or FAILED."),
                        "links": {"get": {"operationId": "getExecution", "parameters": {"id": "$response.body#/id"}}},
                    },
                    **_problems(
                        s400="The input is not valid, or the function is not READY (the detail says its status).",
                        **_UNKNOWN,
                        s413="The input is larger than its limit.",
                        **_ENCODED,
                        s429="The limit of executions in flight in this process is reached, or the function's own.",
                        s503="The database is unavailable; the outcome could not be recorded.",
                    ),
                },
            },
        },
        "/functions/{id}/executions": {
            "parameters": [_FUNCTION],
            "get": {
                "operationId": "listExecutions",
                "summary": "List a function's executions",
                "description": "Newest first.",
                "tags": ["executions"],
                "parameters": _page_parameters(status=get_args(ExecutionStatus)),
                "responses": {
                    "200": _json({"type": "array", "items": _ref(ExecutionResponse)}, "A page.", _LINK),
                    **_problems(**_INVALID, **_UNKNOWN, **_UNAVAILABLE),
                },
            },
        },
        "/executions/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
            ],
            "get": {
                "operationId": "getExecution",
                "summary": "Get an execution",
                "description": "With its input and its logs.",
                "tags": ["executions"],
                "responses": {
                    "200": _json(_ref(ExecutionRecordResponse), "The execution."),
                    **_problems(**_INVALID, s404="The execution does not exist.", **_UNAVAILABLE),
                },
            },
        },
    }


def _system() -> _Schema:
    def text(media_type: str, description: str) -> _Schema:
        return {
            "description": description,
            "headers": {"X-Request-Id": _REQUEST_ID},
            "content": {media_type: {"schema": {"type": "string"}}},
        }

    return {
        "/health": {
            "get": {
                "operationId": "getHealth",
                "summary": "Get the health of the service",
                "tags": ["system"],
                "responses": {
                    "200": _json(_ref(Health), "Every component that is needed is up."),
                    "503": _json(_ref(Health), "A component that is needed is down."),
                },
            },
        },
        "/metrics": {
            "get": {
                "operationId": "getMetrics",
                "summary": "Get the metrics",
                "tags": ["system"],
                "responses": {"200": text("text/plain", "Prometheus' text format.")},
            }
        },
        "/schema": {
            "get": {
                "operationId": "getSchema",
                "summary": "Get this description",
                "description": "As JSON, or as a page for clients that accept text/html.",
                "tags": ["system"],
                "responses": {
                    "200": {
                        "description": "The description.",
                        "headers": {"X-Request-Id": _REQUEST_ID},
                        "content": {
                            "application/json": {"schema": {"type": "object"}},
                            "text/html": {"schema": {"type": "string"}},
                        },
                    }
                },
            }
        },
    }


def _constrain_function_request(schema: _Schema) -> None:
    """Add what the checks of faas.functions accept to the schema of a request that creates or changes a function."""
    fields = schema["properties"]
    fields["name"] |= {
        "pattern": f"^{_NAME}$",
        "description": "Unique among all functions; must not look like a UUID.",
    }
    fields["description"] |= {"maxLength": DESCRIPTION_LIMIT_CHARACTERS, "pattern": "^[^\\u0000]*$"}
    fields["source"] |= {
        "minLength": 1,
        "pattern": "^[^\\u0000]*$",
        "description": "At most 1 MiB; for the language wasm a module of at most 8 MiB in base64.",
    }
    schema |= {
        "if": {"properties": {"language": {"const": "wasm"}}},
        "then": {"properties": {"source": {"pattern": _BASE64}}},
    }


@cache
def openapi_description() -> _Schema:
    """Return the whole description, ready to be encoded."""
    kinds = [
        FunctionResponse,
        FunctionSummaryResponse,
        RevisionResponse,
        FunctionCreateRequest,
        FunctionUpdateRequest,
        PromoteRequest,
        ExecutionRequest,
        ExecutionResponse,
        ExecutionRecordResponse,
        Problem,
        Health,
    ]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for kind in (FunctionCreateRequest, FunctionUpdateRequest):
        _constrain_function_request(schemas[kind.__name__])
    schemas["ExecutionRequest"]["properties"]["input"] = {
        "type": ["object", "null"],
        "description": "Stored and passed on exactly as sent. Null or a missing input means {}.",
        "default": {},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "faas",
            "version": __version__,
            "description": "Functions as a service in one process: POST source code; it is compiled to WebAssembly in "
            "the background and executed in a sandbox over HTTP, with every execution recorded.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "functions"}, {"name": "revisions"}, {"name": "executions"}, {"name": "system"}],
        "paths": {**_functions(), **_revisions(), **_executions(), **_system()},
        "components": {
            "schemas": schemas,
            "headers": {
                "RequestId": {
                    "description": "The X-Request-Id of the request, or a new one.",
                    "schema": {"type": "string"},
                }
            },
            "parameters": {
                "function": _path_parameter(f"^({_NAME}|{_UUID})$", "The function's id or its name."),
                "functionOrRevision": _path_parameter(
                    f"^({_NAME}|{_UUID})(@{_NUMBER})?$", "The function's id or its name, and @N for its revision N."
                ),
            },
        },
    }
