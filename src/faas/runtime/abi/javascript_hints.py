"""Hints for names that JavaScript has elsewhere and not here, after the engine's own message."""

import re

_UNDEFINED = re.compile(r"ReferenceError: (\w+) is not defined")
_NO_NETWORK = "functions make HTTP requests, with fetch"
_NOT_NODE = "functions do not run in Node"
_HINTS = {
    "XMLHttpRequest": _NO_NETWORK,
    "WebSocket": _NO_NETWORK,
    "EventSource": _NO_NETWORK,
    "Buffer": "functions have Uint8Array, TextEncoder, atob and btoa",
    "Intl": "functions have no locales",
    "WebAssembly": "functions cannot load modules",
    "Worker": "functions have one thread",
    "require": "a function is one file; bundle it: npx esbuild --bundle --format=esm",
    "__dirname": _NOT_NODE,
    "__filename": _NOT_NODE,
    "Deno": "functions do not run in Deno",
    "Bun": "functions do not run in Bun",
    "window": "functions do not run in a browser",
    "document": "functions do not run in a browser",
    "localStorage": "functions keep nothing between calls",
}


def with_hint(message: str) -> str:
    """Return the author's error `message`, with a hint if it is about a name that functions do not have."""
    found = _UNDEFINED.match(message)
    hint = _HINTS.get(found[1]) if found else None
    return message if found is None or hint is None else f"{found[0]}: {hint}{message[found.end() :]}"
