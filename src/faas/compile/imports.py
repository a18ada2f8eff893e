"""Imports that remain in a source: a function is one file, so they are explained where they stand."""

import re

_REFUSED = re.compile(r"(?:ReferenceError: )?could not load module '([^'\n]*)'(?: filename)?")
BUNDLE = "bundle it: npx esbuild --bundle --format=esm"


def explain_import(message: str, source: str, file: str) -> str:
    """Return `message` with the reason, and the place in `source`, where it says that an import cannot be loaded."""
    refused = _REFUSED.search(message)
    if refused is None or not message.startswith(refused[0]):
        return message
    name = refused[1]
    kind = "Node's own modules are not there" if name.startswith("node:") else BUNDLE
    explained = f"import of '{name}': a function is one file; {kind}"
    statement = re.search(rf"""\b(?:from|import)\s*\(?\s*(["'`]){re.escape(name)}\1""", source)
    if statement is None:
        return explained
    before = source[: statement.start(1)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{explained}\n    at {file}:{line}:{column}"
