"""Every `Any` in src has a reason here. mypy cannot check what is Any, so a new one must be justified or avoided.

Not counted: `Coroutine[Any, Any, …]` and `Request[Any, Any, Any]`, whose parameters are unused by the code.
"""

import ast
import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src" / "faas"
UNUSED_PARAMETERS = r"\bCoroutine\[Any, Any,|\bRequest\[Any, Any, Any\]"

# File: (how many, why).
ALLOWED = {
    "api/application.py": (2, "litestar takes route handlers and dependencies of any type"),
    "api/mappers.py": (2, "the fields of a struct, which two structs share"),
    "api/openapi_parts.py": (2, "a JSON schema is a JSON document"),
    "api/pagination.py": (1, "query parameters as litestar parses them"),
    "api/responses.py": (1, "any value that msgspec encodes"),
    "api/schemas.py": (1, "msgspec's signature of __rich_repr__"),
    "cli/audit.py": (1, "JSON of the server"),
    "cli/client.py": (5, "JSON of the server; arguments of httpx; click decorates any function"),
    "cli/database_tokens.py": (4, "JSON as a server would answer it"),
    "cli/deploy.py": (14, "JSON of the server; values of options"),
    "cli/execution.py": (1, "JSON of the server"),
    "cli/function_settings.py": (6, "JSON of the server; values of options; click decorates any function"),
    "cli/functions.py": (3, "JSON of the server"),
    "cli/limits.py": (4, "JSON of the server; click decorates any function"),
    "cli/output.py": (2, "any value that msgspec encodes; JSON of the server"),
    "cli/project_file.py": (13, "values of a TOML document, checked here"),
    "cli/revisions.py": (4, "JSON of the server"),
    "cli/run.py": (2, "values of options; settings, checked here"),
    "cli/secret.py": (3, "JSON of the server"),
    "cli/server_tokens.py": (4, "JSON of the server"),
    "cli/setting_options.py": (6, "click decorates any function"),
    "cli/token.py": (5, "JSON of the server; click decorates any function"),
    "compute_module/cli/setting_options.py": (1, "click decorates any function"),
    "compute_module/foundry/client.py": (4, "JSON of Foundry"),
    "compute_module/foundry/http_client.py": (2, "JSON of Foundry, checked by the callers"),
    "compute_module/foundry/stream_records.py": (4, "JSON of Foundry"),
    "compute_module/mock_foundry/app.py": (2, "the ASGI scope"),
    "compute_module/mock_foundry/dataset_routes.py": (1, "a JSON document"),
    "compute_module/mock_foundry/request.py": (2, "ASGI messages; a JSON document"),
    "compute_module/mock_foundry/responses.py": (1, "any value that msgspec encodes"),
    "compute_module/mock_foundry/stream_store.py": (1, "a JSON document"),
    "compute_module/pipeline/enrichers/gemini_answers.py": (6, "JSON of a model, checked here"),
    "compute_module/pipeline/enrichers/gemini_errors.py": (
        5,
        "errors of google-genai, an optional dependency; JSON of Gemini",
    ),
    "compute_module/pipeline/table.py": (2, "the protocol of csv.writer"),
    "compute_module/redaction.py": (2, "structlog's type of an event"),
    "compute_module/setting_types.py": (2, "settings of any type"),
    "compile/snapshot/worker.py": (2, "exports of an instance, and host functions of any signature"),
    "compute_module/settings.py": (2, "settings of any type"),
    "database/queries.py": (19, "aiosql makes its functions at run time; the queries.py of each package types them"),
    "logs.py": (4, "structlog's type of a JSON serializer"),
    "runtime/abi/assemblyscript.py": (7, "wasmtime's Caller; host functions of any signature"),
    "runtime/abi/javascript.py": (13, "wasmtime's Caller"),
    "runtime/abi/reach.py": (7, "wasmtime's Caller"),
    "runtime/abi/convention.py": (1, "calls of any signature"),
    "runtime/abi/wasi.py": (1, "pointers of cffi have no static type"),
    "runtime/c_api.py": (11, "pointers of cffi have no static type"),
    "runtime/contracts/lambda_http.py": (1, "JSON of a handler"),
    "runtime/engine_module.py": (5, "pointers of cffi have no static type"),
    "runtime/host_context.py": (5, "host functions of any signature"),
    "runtime/image_memory.py": (4, "pointers of cffi have no static type"),
    "runtime/instance.py": (9, "pointers of cffi have no static type"),
    "runtime/instance_pool.py": (1, "pointers of cffi have no static type"),
    "runtime/linked_module.py": (1, "pointers of cffi have no static type"),
    "runtime/pagemap.py": (4, "pointers of cffi have no static type"),
    "runtime/restorable_instance.py": (4, "pointers of cffi have no static type"),
    "runtime/wasi_instance.py": (7, "pointers of cffi have no static type"),
    "secret_store/model.py": (1, "msgspec's signature of __rich_repr__"),
    "server/fast_path.py": (4, "uvicorn's protocol, whose internals are untyped"),
    "server/log_streams.py": (1, "the signature of io.RawIOBase.write"),
    "server/server.py": (2, "an ASGI application and a protocol, as uvicorn takes them"),
    "server/tls_transport.py": (1, "the signature of asyncio.BaseTransport.get_extra_info"),
    "server/worker_server.py": (2, "an ASGI application and a protocol, as uvicorn takes them"),
    "server/uvicorn_internals.py": (3, "methods of any signature"),
    "settings.py": (3, "defaults and types of any setting"),
}


def count_any(source: str) -> int:
    tree = ast.parse(source)
    found = sum(
        (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Constant) and node.value == "Any")
        for node in ast.walk(tree)
    )
    unused: list[str] = re.findall(UNUSED_PARAMETERS, source)
    return found - sum(text.count("Any") for text in unused)


def test_types_every_any_has_a_reason() -> None:
    found = {str(file.relative_to(SOURCES)): count_any(file.read_text()) for file in SOURCES.rglob("*.py")}
    assert {file: count for file, count in found.items() if count} == {
        file: count for file, (count, _) in ALLOWED.items()
    }
