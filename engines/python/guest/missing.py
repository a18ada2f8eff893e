"""What a function does not have, and errors that say so."""

from importlib.machinery import ModuleSpec

_USE_HTTP = "make HTTP requests with `from faas import http`, or with urllib.request"
_NETWORK = f"functions have no network connections of their own; {_USE_HTTP}"
_PROCESSES = "functions have no processes of their own"
_THREADS = "functions have no threads; a coroutine with asyncio.gather runs concurrently in one thread"
_TERMINAL = "functions have no terminal"
_FILES = "functions have no files"
_USERS = "functions have no users and groups"
_NATIVE = "native code cannot be loaded"
_COMPRESSION = "this compression is not part of the engine; zlib and gzip are"
_PACKAGES = "only the standard library is available"
_HTTP_PACKAGES = f"{_PACKAGES}; {_USE_HTTP}"

# Modules that cannot be imported, with the reason.
REASONS = {
    "_ssl": _NETWORK,
    "ssl": _NETWORK,
    "_ctypes": _NATIVE,
    "ctypes": _NATIVE,
    "requests": _HTTP_PACKAGES,
    "httpx": _HTTP_PACKAGES,
    "aiohttp": _HTTP_PACKAGES,
    "urllib3": _HTTP_PACKAGES,
    "multiprocessing": _PROCESSES,
    "_multiprocessing": _PROCESSES,
    "_posixsubprocess": _PROCESSES,
    "ensurepip": _PACKAGES,
    "venv": _PACKAGES,
    "pip": _PACKAGES,
    "fcntl": _FILES,
    "mmap": _FILES,
    "_dbm": _FILES,
    "_gdbm": _FILES,
    "pwd": _USERS,
    "grp": _USERS,
    "resource": "functions have the limits of their settings",
    "syslog": "print and logging write to the execution's logs",
    "termios": _TERMINAL,
    "tty": _TERMINAL,
    "pty": _TERMINAL,
    "readline": _TERMINAL,
    "curses": _TERMINAL,
    "_curses": _TERMINAL,
    "_pyrepl": _TERMINAL,
    "tkinter": _TERMINAL,
    "_tkinter": _TERMINAL,
    "turtle": _TERMINAL,
    "turtledemo": _TERMINAL,
    "idlelib": _TERMINAL,
    "antigravity": _TERMINAL,
    "bz2": _COMPRESSION,
    "_bz2": _COMPRESSION,
    "lzma": _COMPRESSION,
    "_lzma": _COMPRESSION,
    "compression.zstd": _COMPRESSION,
    "_zstd": _COMPRESSION,
}


class MissingModules:
    """The last finder of imports: explains why a module cannot be imported."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for a module that is missing, with the reason where it is known."""
        reason = REASONS.get(name) or REASONS.get(name.partition(".")[0])
        if reason is None and path is None and not name.startswith("_"):
            reason = _PACKAGES
        if reason:
            raise ModuleNotFoundError(f"No module named {name!r}: {reason}", name=name)
        return None


def refuse_threads(*_arguments: object, **_options: object) -> None:
    """Raise RuntimeError: stands for what starts a thread."""
    raise RuntimeError(_THREADS)


def refuse_processes(*_arguments: object, **_options: object) -> None:
    """Raise OSError: stands for what starts a process."""
    raise OSError(_PROCESSES)


def refuse_network(*_arguments: object, **_options: object) -> None:
    """Raise OSError: stands for what opens a connection or asks the name service."""
    raise OSError(_NETWORK)


def refuse_files(file: object, *_arguments: object, **_options: object) -> None:
    """Raise OSError: stands for what opens a file."""
    raise FileNotFoundError(f"{_FILES}: {file!r} cannot be opened")
