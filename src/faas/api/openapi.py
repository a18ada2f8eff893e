"""The API's OpenAPI 3.1 description. Its schemas come from schemas.py; the rest is written out here.

It is not generated from the handlers, because they take bodies as bytes, answer with problems and paginate by `Link`,
none of which a generator finds. A test compares the description with the routes
(docs/decisions/0006-openapi-by-hand.md).
"""

from functools import cache
from typing import get_args

import msgspec

from faas import __version__
from faas.api.openapi_access import SECURITY_SCHEMES, access_paths, constrain_token_request, describe_access
from faas.api.openapi_parts import (
    BASE64,
    ENCODED,
    FUNCTION,
    INVALID,
    LINK,
    NAME,
    NUMBER,
    REQUEST_ID,
    REVISION,
    UNAVAILABLE,
    UNKNOWN,
    UNKNOWN_REVISION,
    UUID,
    Schema,
    describe_limits,
    describe_settings,
    json_answer,
    json_body,
    page_parameters,
    path_parameter,
    problems,
    ref_to,
)
from faas.api.openapi_secrets import constrain_secret_request, secret_paths
from faas.api.openapi_system import system_paths
from faas.api.schemas import (
    AuditEntryResponse,
    ExecutionRecordResponse,
    ExecutionRequest,
    ExecutionResponse,
    FunctionCreateRequest,
    FunctionResponse,
    FunctionSummaryResponse,
    FunctionUpdateRequest,
    Health,
    HealthStatus,
    NewTokenResponse,
    Problem,
    PromoteRequest,
    RevisionResponse,
    SecretPutRequest,
    SecretResponse,
    TokenCreateRequest,
    TokenResponse,
)
from faas.executions.model import Status as ExecutionStatus
from faas.functions.model import Status as FunctionStatus
from faas.functions.validation import DESCRIPTION_LIMIT_CHARACTERS
from faas.languages import Language

_ECHO = {
    "name": "echo",
    "language": "javascript",
    "source": "export function handle(input) { return input; }",
}


def _functions() -> Schema:
    too_large = {"s413": "The source is larger than its limit."}
    taken = {"s409": "Another function has this name."}
    return {
        "/functions": {
            "post": {
                "operationId": "createFunction",
                "summary": "Create a function",
                "description": "Its first revision is PENDING; it is compiled in the background, ends READY or FAILED, "
                "and is live once it is READY.",
                "tags": ["functions"],
                "requestBody": json_body(FunctionCreateRequest, True, {"echo": _ECHO}),
                "responses": {
                    "201": {
                        **json_answer(
                            ref_to(FunctionResponse),
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
                    **problems(**INVALID, **taken, **too_large, **ENCODED, **UNAVAILABLE),
                },
            },
            "get": {
                "operationId": "listFunctions",
                "summary": "List functions",
                "description": "Newest first, without their sources.",
                "tags": ["functions"],
                "parameters": page_parameters(status=get_args(FunctionStatus), language=get_args(Language)),
                "responses": {
                    "200": json_answer({"type": "array", "items": ref_to(FunctionSummaryResponse)}, "A page.", LINK),
                    **problems(**INVALID, **UNAVAILABLE),
                },
            },
        },
        "/functions/{id}": {
            "get": {
                "operationId": "getFunction",
                "parameters": [REVISION],
                "summary": "Get a function",
                "description": "As its live revision shows it, or the revision N of `name@N`.",
                "tags": ["functions"],
                "responses": {
                    "200": json_answer(ref_to(FunctionResponse), "The function."),
                    **problems(**INVALID, **UNKNOWN_REVISION, **UNAVAILABLE),
                },
            },
            "put": {
                "operationId": "updateFunction",
                "parameters": [FUNCTION],
                "summary": "Update a function",
                "description": "Another source, language or other settings make a new revision. The live revision "
                "serves until the new one is READY; `latest.status` says what has become of the new one.",
                "tags": ["functions"],
                "requestBody": json_body(FunctionUpdateRequest, True, {"echo": _ECHO}),
                "responses": {
                    "200": json_answer(ref_to(FunctionResponse), "The updated function."),
                    **problems(**INVALID, **UNKNOWN, **taken, **too_large, **ENCODED, **UNAVAILABLE),
                },
            },
            "delete": {
                "operationId": "deleteFunction",
                "parameters": [FUNCTION],
                "summary": "Delete a function",
                "description": "Its revisions and executions are deleted with it.",
                "tags": ["functions"],
                "responses": {
                    "204": {"description": "Deleted.", "headers": {"X-Request-Id": REQUEST_ID}},
                    **problems(**INVALID, **UNKNOWN, **UNAVAILABLE),
                },
            },
        },
    }


def _revisions() -> Schema:
    cursor = {"type": "string", "pattern": f"^{NUMBER}$"}
    return {
        "/functions/{id}/revisions": {
            "parameters": [FUNCTION],
            "get": {
                "operationId": "listRevisions",
                "summary": "List a function's revisions",
                "description": "Newest first, with their sources; a page is shorter when these are large.",
                "tags": ["revisions"],
                "parameters": page_parameters(cursor),
                "responses": {
                    "200": json_answer({"type": "array", "items": ref_to(RevisionResponse)}, "A page.", LINK),
                    **problems(**INVALID, **UNKNOWN, **UNAVAILABLE),
                },
            },
        },
        "/functions/{id}/revisions/{number}": {
            "parameters": [FUNCTION, path_parameter(f"^{NUMBER}$", "The number of the revision.", "number")],
            "get": {
                "operationId": "getRevision",
                "summary": "Get a revision",
                "tags": ["revisions"],
                "responses": {
                    "200": json_answer(ref_to(RevisionResponse), "The revision."),
                    **problems(**INVALID, **UNKNOWN_REVISION, **UNAVAILABLE),
                },
            },
        },
        "/functions/{id}/promote": {
            "parameters": [FUNCTION],
            "post": {
                "operationId": "promoteRevision",
                "summary": "Promote a revision",
                "description": "The revision runs for every call that begins after the response. Revisions that wait "
                "for their compilation no longer go live by themselves.",
                "tags": ["revisions"],
                "requestBody": json_body(PromoteRequest, True, {"second": {"revision": 2}}),
                "responses": {
                    "200": json_answer(ref_to(FunctionResponse), "The function, with that revision live."),
                    **problems(
                        **INVALID, **UNKNOWN_REVISION, s409="The revision is not READY.", **ENCODED, **UNAVAILABLE
                    ),
                },
            },
        },
        "/functions/{id}/rollback": {
            "parameters": [FUNCTION],
            "post": {
                "operationId": "rollBackFunction",
                "summary": "Roll a function back",
                "description": "The revision that was live before the present one is live again; a second time the one "
                "before that.",
                "tags": ["revisions"],
                "responses": {
                    "200": json_answer(ref_to(FunctionResponse), "The function, with the earlier revision live."),
                    **problems(
                        **INVALID, **UNKNOWN, s409="No earlier live revision is kept.", **ENCODED, **UNAVAILABLE
                    ),
                },
            },
        },
    }


def _executions() -> Schema:
    return {
        "/functions/{id}/execute": {
            "parameters": [REVISION],
            "post": {
                "operationId": "executeFunction",
                "summary": "Execute a function",
                "description": "Runs the live revision, or the revision N of `name@N`. A function that traps, exceeds "
                "its time or memory limit, or returns invalid JSON is a 200 with status FAILED: the request succeeded, "
                "and the execution is recorded.",
                "tags": ["executions"],
                "requestBody": json_body(ExecutionRequest, False, {"numbers": {"input": {"a": 1, "b": 2}}}),
                "responses": {
                    "200": {
                        **json_answer(ref_to(ExecutionResponse), "Executed: COMPLETED or FAILED."),
                        "links": {"get": {"operationId": "getExecution", "parameters": {"id": "$response.body#/id"}}},
                    },
                    **problems(
                        s400="The input is not valid, or there is no READY revision (the detail says the status).",
                        **UNKNOWN_REVISION,
                        s413="The input is larger than its limit.",
                        **ENCODED,
                        s429="The limit of executions in flight in this process is reached, or the function's own.",
                        s503="The database is unavailable; the outcome could not be recorded.",
                    ),
                },
            },
        },
        "/functions/{id}/executions": {
            "parameters": [FUNCTION],
            "get": {
                "operationId": "listExecutions",
                "summary": "List a function's executions",
                "description": "Newest first.",
                "tags": ["executions"],
                "parameters": page_parameters(status=get_args(ExecutionStatus)),
                "responses": {
                    "200": json_answer({"type": "array", "items": ref_to(ExecutionResponse)}, "A page.", LINK),
                    **problems(**INVALID, **UNKNOWN, **UNAVAILABLE),
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
                    "200": json_answer(ref_to(ExecutionRecordResponse), "The execution."),
                    **problems(**INVALID, s404="The execution does not exist.", **UNAVAILABLE),
                },
            },
        },
    }


def _constrain_function_request(schema: Schema) -> None:
    """Add what the checks of faas.functions accept to the schema of a request that creates or changes a function."""
    fields = schema["properties"]
    fields["name"] |= {
        "pattern": f"^{NAME}$",
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
        "then": {"properties": {"source": {"pattern": BASE64}}},
    }


@cache
def openapi_description() -> Schema:
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
        TokenCreateRequest,
        TokenResponse,
        NewTokenResponse,
        SecretPutRequest,
        SecretResponse,
        AuditEntryResponse,
        Problem,
        Health,
        HealthStatus,
    ]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for kind in (FunctionCreateRequest, FunctionUpdateRequest):
        _constrain_function_request(schemas[kind.__name__])
    describe_limits(schemas["FunctionLimits"])
    describe_settings(schemas["FunctionSettings"])
    constrain_token_request(schemas["TokenCreateRequest"])
    constrain_secret_request(schemas["SecretPutRequest"])
    schemas["ExecutionRequest"]["properties"]["input"] = {
        "type": ["object", "null"],
        "description": "Stored and passed on exactly as sent. Null or a missing input means {}.",
        "default": {},
    }
    paths = {**_functions(), **_revisions(), **_executions(), **access_paths(), **secret_paths(), **system_paths()}
    describe_access(paths)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "faas",
            "version": __version__,
            "description": "Functions as a service in one process: POST source code; it is compiled to WebAssembly in "
            "the background and executed in a sandbox over HTTP, with every execution recorded. Requests to "
            "`/f/{name}` and below it, of any method, are answered by the function itself: each is an API of its own.",
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "functions"},
            {"name": "revisions"},
            {"name": "executions"},
            {"name": "access"},
            {"name": "secrets"},
            {"name": "system"},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "schemas": schemas,
            "headers": {
                "RequestId": {
                    "description": "The X-Request-Id of the request, or a new one.",
                    "schema": {"type": "string"},
                }
            },
            "parameters": {
                "function": path_parameter(f"^({NAME}|{UUID})$", "The function's id or its name."),
                "functionOrRevision": path_parameter(
                    f"^({NAME}|{UUID})(@{NUMBER})?$", "The function's id or its name, and @N for its revision N."
                ),
            },
        },
    }
