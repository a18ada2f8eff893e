"""Imports that remain in a source: a function is one file, so they are explained where they stand."""

import re

_REFUSED = re.compile(r"ReferenceError: cannot import '([^'\n]*)': a function is one file\.[^\n]*")
_REQUIRED = re.compile(r"(Error: cannot find module '([^'\n]*)': a function is one file)\.[^\n]*")
_BUNDLE = "bundle it: npx esbuild --bundle --format=esm"
_NODE_MODULE = "Node's own modules are not there"
# Those that are mostly imported without `node:`.
_NODE_MODULES = {
    "async_hooks", "child_process", "cluster", "crypto", "dgram", "dns", "fs", "http", "http2", "https", "module",
    "net", "os", "path", "perf_hooks", "readline", "stream", "tls", "tty", "v8", "vm", "worker_threads", "zlib",
}  # fmt: skip
_TYPES_ALONE = "; if it is for types alone, write import type"


def explain_import(message: str, source: str, file: str) -> str:
    """Return `message` with the reason, and the place in `source`, where it says that an import cannot be loaded."""
    required = _REQUIRED.match(message)
    if required and _is_of_node(required[2]):
        return f"{required[1]}; {_NODE_MODULE}{message[required.end() :]}"
    refused = _REFUSED.match(message)
    if refused is None:
        return message
    # The engine has removed a `./` before the name.
    statement = re.search(rf"""\b(?:from|import)\s*\(?\s*(["'`])((?:\./)?{re.escape(refused[1])})\1""", source)
    name = statement[2] if statement else refused[1]
    explained = f"import of '{name}': a function is one file; {_NODE_MODULE if _is_of_node(name) else _BUNDLE}"
    if file.endswith(".ts"):  # types are removed one by one: an import of nothing but types remains, unlike in tsc
        explained += _TYPES_ALONE
    if statement is None:
        return explained
    before = source[: statement.start(1)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{explained}\n    at {file}:{line}:{column}"


def _is_of_node(name: str) -> bool:
    return name.startswith("node:") or name.partition("/")[0] in _NODE_MODULES
