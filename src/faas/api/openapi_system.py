"""The operations of the service itself in the OpenAPI description: health, metrics, and the description."""

from faas.api.openapi_parts import REQUEST_ID, Schema, json_answer, ref_to
from faas.api.schemas import Health, HealthStatus


def system_paths() -> Schema:
    """Return the paths of health, metrics and the description."""

    def text(media_type: str, description: str) -> Schema:
        return {
            "description": description,
            "headers": {"X-Request-Id": REQUEST_ID},
            "content": {media_type: {"schema": {"type": "string"}}},
        }

    shown = {"anyOf": [ref_to(Health), ref_to(HealthStatus)]}
    return {
        "/health": {
            "get": {
                "operationId": "getHealth",
                "summary": "Get the health of the service",
                "description": "The status alone to clients without the scope read.",
                "tags": ["system"],
                "responses": {
                    "200": json_answer(shown, "Every component that is needed is up."),
                    "503": json_answer(shown, "A component that is needed is down."),
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
                        "headers": {"X-Request-Id": REQUEST_ID},
                        "content": {
                            "application/json": {"schema": {"type": "object"}},
                            "text/html": {"schema": {"type": "string"}},
                        },
                    }
                },
            }
        },
    }
