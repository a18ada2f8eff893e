"""Imports that remain in a source: a function is one file, so they are explained where they stand."""

import re

_REFUSED = re.compile(r"ReferenceError: cannot import '([^'\n]*)': a function is one file\.[^\n]*")
_BUNDLE = "bundle it: npx esbuild --bundle --format=esm"
_NODE_MODULE = "Node's own modules are not there"
_TYPES_ALONE = "; if it is for types alone, write import type"


def explain_import(message: str, source: str, file: str) -> str:
    """Return `message` with the reason, and the place in `source`, where it says that an import cannot be loaded."""
    refused = _REFUSED.match(message)
    if refused is None:
        return message
    # The engine has removed a `./` before the name.
    statement = re.search(rf"""\b(?:from|import)\s*\(?\s*(["'`])((?:\./)?{re.escape(refused[1])})\1""", source)
    name = statement[2] if statement else refused[1]
    explained = f"import of '{name}': a function is one file; {_NODE_MODULE if name.startswith('node:') else _BUNDLE}"
    if file.endswith(".ts"):  # types are removed one by one: an import of nothing but types remains, unlike in tsc
        explained += _TYPES_ALONE
    if statement is None:
        return explained
    before = source[: statement.start(1)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{explained}\n    at {file}:{line}:{column}"
