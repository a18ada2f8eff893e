"""Messages for the author of a function: what went wrong, where in the author's own text, and what to do."""

import ast
import linecache
import traceback

from . import event_loop

FILE = "function.py"
_MAX_MESSAGE = 8000  # characters of an exception's own text
_MAX_CAUSES = 5

source: str = ""
positions: dict[str, tuple[int, int]] = {}  # of what the module defines: line and column


class OutputError(Exception):
    """Raised when what the function returned is not JSON. The message is complete."""


class _SourceLines(dict):  # type: ignore[type-arg]
    """The cache of linecache, which knows the function's source."""

    def get(self, name: object, default: object = None) -> object:
        return self[name] if name in self else default  # noqa: SIM401 - that would call this method

    def __contains__(self, name: object) -> bool:
        return name == FILE or dict.__contains__(self, name)

    def __getitem__(self, name: object) -> object:
        if name == FILE:
            return len(source), None, [f"{line}\n" for line in source.split("\n")], FILE
        return dict.__getitem__(self, name)


def install() -> None:
    """Let tracebacks show the function's source."""
    linecache.cache = _SourceLines(linecache.cache)
    linecache.checkcache = lambda filename=None: None


def describe(error: BaseException, *, with_place: bool = False) -> str:
    """Return the message for an exception: its type and message, the author's frames, and what caused it.

    `with_place` adds the line and the column at the end of the first line.
    """
    try:
        trace = traceback.TracebackException.from_exception(error, compact=True)
        parts = [_headline(error, trace)]
        frames = _author_frames(trace)
        if with_place and (place := _place(error, frames)):
            parts[0] += f" ({FILE}:{place[0]}:{place[1]})"
            if len(frames) == 1:
                frames = traceback.StackSummary()
        parts += _notes(error)
        if frames:
            parts += ["", "Traceback (most recent call last):", "".join(frames.format()).rstrip("\n")]
        parts += _causes(error)
        return "\n".join(parts).encode("utf-8", "backslashreplace").decode()
    except BaseException:  # no memory or no stack is left for it
        return f"{type(error).__name__}: there was not enough memory or stack left to describe it"


def positions_of(tree: ast.Module) -> dict[str, tuple[int, int]]:
    """Return the line and the column at which a module defines or assigns each name."""
    found: dict[str, tuple[int, int]] = {}
    for node in tree.body:
        names = [node.name] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else []
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        for name in names:
            found[name] = node.lineno, node.col_offset + 1
    return found


def _headline(error: BaseException, trace: traceback.TracebackException) -> str:
    """Return the type and the message of `error`, in a sentence of its own where it has a special meaning."""
    if isinstance(error, (OutputError, event_loop.NeverSettled)):
        return str(error)
    if isinstance(error, SystemExit):
        code = "" if error.code is None else repr(error.code)
        return f"SystemExit: the function called exit({code}); it ends with return, or raises an exception"
    if isinstance(error, MemoryError):
        return "MemoryError: the memory limit is exceeded"
    message = (error.msg if isinstance(error, SyntaxError) else str(trace)) or ""
    if len(message) > _MAX_MESSAGE:
        message = f"{message[:_MAX_MESSAGE]}…"
    kind = type(error)
    plain = kind.__module__ in {"builtins", "function"}
    name = kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {message}" if message else name


def _place(error: BaseException, frames: traceback.StackSummary) -> tuple[int, int] | None:
    """Return the line and the column of a syntax error, or of the innermost frame."""
    if isinstance(error, SyntaxError) and error.filename == FILE and error.lineno:
        return error.lineno, max(1, error.offset or 1)
    if not frames or not frames[-1].lineno:
        return None
    lines = source.split("\n")
    line = frames[-1].lineno
    before = lines[line - 1].encode()[: frames[-1].colno or 0] if line <= len(lines) else b""
    return line, len(before.decode(errors="replace")) + 1


def _author_frames(trace: traceback.TracebackException) -> traceback.StackSummary:
    return traceback.StackSummary.from_list([frame for frame in trace.stack if frame.filename == FILE])


def _notes(error: BaseException) -> list[str]:
    notes = [str(note) for note in getattr(error, "__notes__", ())]
    return notes + [
        f"- {_headline(inner, traceback.TracebackException.from_exception(inner))}"
        for inner in getattr(error, "exceptions", ())[:_MAX_CAUSES]
        if isinstance(error, BaseExceptionGroup)
    ]


def _causes(error: BaseException) -> list[str]:
    """Return the exceptions that led to `error`, each with its frames."""
    parts: list[str] = []
    seen = {id(error)}
    while len(seen) <= _MAX_CAUSES:
        cause, relation = error.__cause__, "caused by"
        if cause is None and not error.__suppress_context__:
            cause, relation = error.__context__, "while handling"
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        trace = traceback.TracebackException.from_exception(cause, compact=True)
        parts += ["", f"{relation} {_headline(cause, trace)}"]
        if frames := _author_frames(trace):
            parts.append("".join(frames.format()).rstrip("\n"))
        error = cause
    return parts
