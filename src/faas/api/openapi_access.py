"""Access in the OpenAPI description: the tokens, the audit trail, and what every operation needs and may be refused."""

from typing import get_args

from faas.access.service import MAX_EXPIRY_SECONDS, MAX_PER_SECOND, MIN_PER_SECOND
from faas.api.openapi_parts import (
    ENCODED,
    INVALID,
    LINK,
    NAME,
    REQUEST_ID,
    UNAVAILABLE,
    Schema,
    json_answer,
    json_body,
    page_parameters,
    path_parameter,
    problems,
    ref_to,
)
from faas.api.schemas import AuditEntryResponse, NewTokenResponse, TokenCreateRequest, TokenResponse
from faas.caller import Scope
from faas.function_patterns import MAX_PATTERNS

SECURITY_SCHEMES: Schema = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "faas_<id>_<secret>",
        "description": "A token with one of the scopes that the operation names; `admin` implies all. Not asked for on "
        "a server without authentication.",
    }
}
OPERATION_SCOPES: dict[str, tuple[Scope, ...]] = {
    "createFunction": ("deploy",),
    "listFunctions": ("read", "deploy"),
    "getFunction": ("read", "deploy"),
    "updateFunction": ("deploy",),
    "deleteFunction": ("deploy",),
    "listRevisions": ("read", "deploy"),
    "getRevision": ("read", "deploy"),
    "promoteRevision": ("deploy",),
    "rollBackFunction": ("deploy",),
    "executeFunction": ("invoke",),
    "listExecutions": ("read",),
    "getExecution": ("read", "invoke"),
    "createToken": ("admin",),
    "listTokens": ("admin",),
    "revokeToken": ("admin",),
    "setSecret": ("admin",),
    "listSecrets": ("admin",),
    "getSecret": ("admin",),
    "deleteSecret": ("admin",),
    "listAudit": ("admin",),
    "getHealth": (),
    "getMetrics": ("read",),
    "getSchema": ("read",),
}
"""Of which scopes an operation needs one; without any it needs no token."""

_REFUSALS = problems(
    s401="There is no token, or none that is known, not revoked and not expired.",
    s403="The token lacks a scope, which `missingScope` names, or does not reach this name.",
    s429="The token is used more often than it may be, or too many authentications from this address have failed.",
)


def access_paths() -> Schema:
    """Return the paths of tokens and of the audit trail."""
    return {
        "/tokens": {
            "post": {
                "operationId": "createToken",
                "summary": "Create a token",
                "description": "The answer has its text, shown this once. A token with the scope admin reaches "
                "all functions. A name is never used again.",
                "tags": ["access"],
                "requestBody": json_body(
                    TokenCreateRequest,
                    True,
                    {"invoke": {"name": "shop", "scopes": ["invoke"], "functions": ["orders-*"], "expiresIn": 7776000}},
                ),
                "responses": {
                    "201": json_answer(ref_to(NewTokenResponse), "Created."),
                    **problems(
                        **INVALID, s409="A token has, or had, this name.", s413="Too large.", **ENCODED, **UNAVAILABLE
                    ),
                },
            },
            "get": {
                "operationId": "listTokens",
                "summary": "List the tokens",
                "description": "By name, revoked and expired ones too.",
                "tags": ["access"],
                "parameters": page_parameters({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
                "responses": {
                    "200": json_answer({"type": "array", "items": ref_to(TokenResponse)}, "A page.", LINK),
                    **problems(**INVALID, **UNAVAILABLE),
                },
            },
        },
        "/tokens/{id}": {
            "parameters": [path_parameter("^[a-z2-7]{12}$", "The id of the token.")],
            "delete": {
                "operationId": "revokeToken",
                "summary": "Revoke a token",
                "description": "Every process refuses it within two seconds.",
                "tags": ["access"],
                "responses": {
                    "204": {"description": "Revoked, now or before.", "headers": {"X-Request-Id": REQUEST_ID}},
                    **problems(**INVALID, s404="The token does not exist.", **UNAVAILABLE),
                },
            },
        },
        "/audit": {
            "get": {
                "operationId": "listAudit",
                "summary": "List the changes on record",
                "description": "Newest first: deploys, promotions, rollbacks, deletions, tokens and secrets.",
                "tags": ["access"],
                "parameters": page_parameters(),
                "responses": {
                    "200": json_answer({"type": "array", "items": ref_to(AuditEntryResponse)}, "A page.", LINK),
                    **problems(**INVALID, **UNAVAILABLE),
                },
            },
        },
    }


def constrain_token_request(schema: Schema) -> None:
    """Add what the checks of faas.access accept to the schema of a request that makes a token."""
    fields = schema["properties"]
    fields["name"] |= {"pattern": f"^{NAME}$", "description": "No token has, or had, this name."}
    fields["scopes"] |= {"minItems": 1, "items": {"enum": list(get_args(Scope))}}
    patterns = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_PATTERNS,
        "items": {"type": "string", "pattern": "^[a-zA-Z0-9._*-]{1,64}$"},
    }
    fields["functions"] = {
        "anyOf": [patterns, {"type": "null"}],
        "default": None,
        "description": "Patterns of the functions that it reaches, such as orders-*; null for all.",
    }
    for name, least, most, text in (
        ("perSecond", MIN_PER_SECOND, MAX_PER_SECOND, "Requests per second; null for no limit."),
        ("expiresIn", 1, MAX_EXPIRY_SECONDS, "Seconds for which it holds; null for no end."),
    ):
        fields[name] = {
            "anyOf": [{"type": "number", "minimum": least, "maximum": most}, {"type": "null"}],
            "default": None,
            "description": text,
        }
    schema |= {
        "if": {"properties": {"scopes": {"contains": {"const": "admin"}}}},
        "then": {"properties": {"functions": {"type": "null"}}},
    }


def describe_access(paths: Schema) -> None:
    """Add to every operation which scopes it needs, and the answers of the gate."""
    for path in paths.values():
        for operation in path.values():
            if not isinstance(operation, dict):  # the parameters of all operations of the path
                continue
            scopes = OPERATION_SCOPES[operation["operationId"]]
            operation["security"] = [{}, *({"token": [scope]} for scope in scopes)] if scopes else [{}, {"token": []}]
            operation["responses"] = {**_REFUSALS, **problems(**UNAVAILABLE), **operation["responses"]}
