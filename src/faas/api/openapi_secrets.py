"""Secrets in the OpenAPI description."""

from faas.api.openapi_parts import (
    ENCODED,
    INVALID,
    LINK,
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
from faas.api.schemas import SecretPutRequest, SecretResponse
from faas.function_patterns import MAX_PATTERNS
from faas.function_settings import VARIABLE_PATTERN
from faas.secret_store.validation import MAX_HOSTS, VALUE_LIMIT_BYTES

_UNKNOWN = {"s404": "The secret does not exist."}


def secret_paths() -> Schema:
    """Return the paths of secrets."""
    return {
        "/secrets": {
            "get": {
                "operationId": "listSecrets",
                "summary": "List the secrets",
                "description": "By name, without their values.",
                "tags": ["secrets"],
                "parameters": page_parameters({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
                "responses": {
                    "200": json_answer({"type": "array", "items": ref_to(SecretResponse)}, "A page.", LINK),
                    **problems(**INVALID, **UNAVAILABLE),
                },
            },
        },
        "/secrets/{name}": {
            "parameters": [path_parameter(f"^{VARIABLE_PATTERN}$", "The name of the secret.", "name")],
            "put": {
                "operationId": "setSecret",
                "summary": "Set a secret",
                "description": "Creates it, or replaces all of it. The value goes in and never comes out. Executions "
                "have the new one within a second.",
                "tags": ["secrets"],
                "requestBody": json_body(
                    SecretPutRequest,
                    True,
                    {
                        "stripe": {
                            "value": "sk_live_…",
                            "hosts": ["https://api.stripe.com"],
                            "functions": ["orders-*"],
                        }
                    },
                ),
                "responses": {
                    "200": json_answer(ref_to(SecretResponse), "Replaced."),
                    "201": json_answer(ref_to(SecretResponse), "Created."),
                    **problems(
                        **INVALID,
                        s409="The server does not have the key that the secrets are sealed under.",
                        s413="The value or the body is too large.",
                        **ENCODED,
                        **UNAVAILABLE,
                    ),
                },
            },
            "get": {
                "operationId": "getSecret",
                "summary": "Get a secret",
                "description": "Without its value.",
                "tags": ["secrets"],
                "responses": {
                    "200": json_answer(ref_to(SecretResponse), "The secret."),
                    **problems(**INVALID, **_UNKNOWN, **UNAVAILABLE),
                },
            },
            "delete": {
                "operationId": "deleteSecret",
                "summary": "Delete a secret",
                "tags": ["secrets"],
                "responses": {
                    "204": {"description": "Deleted.", "headers": {"X-Request-Id": REQUEST_ID}},
                    **problems(**INVALID, **_UNKNOWN, s409="A kept revision names the secret.", **UNAVAILABLE),
                },
            },
        },
    }


def constrain_secret_request(schema: Schema) -> None:
    """Add what the checks of faas.secret_store accept to the schema of a request that sets a secret."""
    fields = schema["properties"]
    fields["value"] |= {
        "minLength": 1,
        "maxLength": VALUE_LIMIT_BYTES,
        "pattern": "^[^\\u0000]*$",
        "description": f"1 to {VALUE_LIMIT_BYTES} bytes in UTF-8.",
        "writeOnly": True,
    }
    origins = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_HOSTS,
        "items": {"type": "string", "pattern": "^https?://[a-z0-9-]{1,63}(\\.[a-z0-9-]{1,63})*(:[1-9][0-9]{0,3})?$"},
    }
    fields["hosts"] = {
        "anyOf": [origins, {"type": "null"}],
        "default": None,
        "description": "Origins that the server sends the value to, so that functions do not see it; null for a value "
        "that functions read.",
    }
    fields["functions"] = {
        "type": "array",
        "maxItems": MAX_PATTERNS,
        "items": {"type": "string", "pattern": "^[a-zA-Z0-9._*-]{1,64}$"},
        "default": [],
        "description": "Patterns of the functions that may name the secret, such as orders-*; without any, none may.",
    }
