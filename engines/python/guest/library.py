"""The standard library inside the engine: what is loaded, what is on the shelf, and what is replaced.

Modules that functions often import are loaded when the engine is built. The others travel as compressed code, the
shelf, and are loaded when a function imports them.
"""

import builtins
import importlib
import io
import marshal
import sys
import zlib
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from . import missing

# Without docstrings and asserts: less to keep in every image.
_OPTIMIZATION = 2

LOADED = (
    "_strptime", "abc", "annotationlib", "array", "ast", "asyncio", "base64", "binascii", "bisect", "calendar",
    "cmath", "codecs", "collections", "collections.abc", "concurrent.futures", "contextlib", "contextvars", "copy",
    "csv", "dataclasses", "datetime", "decimal", "difflib", "encodings.ascii", "encodings.idna",
    "encodings.latin_1", "enum", "faas.http", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "html",
    "html.entities", "inspect", "io", "ipaddress", "itertools", "json", "keyword", "linecache", "locale", "logging",
    "math", "numbers", "operator", "os.path", "pathlib", "pprint", "queue", "random", "re", "reprlib", "secrets",
    "shlex", "statistics", "string", "string.templatelib", "stringprep", "struct", "textwrap", "threading", "time",
    "tomllib", "traceback", "types", "typing", "unicodedata", "urllib.parse", "uuid", "warnings", "weakref", "zlib",
    "zoneinfo",
)  # fmt: skip
# Folders and modules of the distribution that are not carried.
_LEFT_OUT = {
    "__hello__", "__phello__", "__pycache__", "_aix_support", "_android_support", "_apple_support", "_ios_support",
    "_osx_support", "_pyrepl", "_sysconfigdata__wasi_wasm32-wasi", "antigravity", "bz2", "config-3", "ctypes",
    "curses", "ensurepip", "idlelib", "lib2to3", "lzma", "multiprocessing", "ntpath", "nturl2path", "pty", "pydoc",
    "pydoc_data", "site-packages", "ssl", "test", "this", "tkinter", "tty", "turtle", "turtledemo", "venv",
    "webbrowser",
}  # fmt: skip

_shelf: dict[str, tuple[bytes, bool]] = {}
_zones: dict[str, bytes] = {}
_sources = memoryview(b"")  # of all modules, while the engine is built
_index: dict[str, tuple[int, int, bool]] = {}  # module → start and length in _sources, and whether it is a package


class Sources:
    """The finder that loads modules from their sources, while the engine is built."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the module if the distribution has it."""
        if name not in _index:
            return None
        return ModuleSpec(name, Sources, origin="frozen", is_package=_index[name][2])  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Let Python make the module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Evaluate the module."""
        exec(_compile(module.__name__), module.__dict__)

    @staticmethod
    def get_source(name: str) -> None:
        """Return None: tracebacks show the author's lines only."""


class Shelf:
    """The finder that loads modules from the shelf."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the module if it is on the shelf."""
        if name not in _shelf:
            return None
        return ModuleSpec(name, Shelf, origin="frozen", is_package=_shelf[name][1])  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Let Python make the module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Evaluate the module, and replace what needs a system."""
        exec(marshal.loads(zlib.decompress(_shelf[module.__name__][0])), module.__dict__)
        if replace := _REPLACEMENTS.get(module.__name__):
            replace(module)

    @staticmethod
    def get_source(name: str) -> None:
        """Return None: tracebacks show the author's lines only."""


def _compile(name: str) -> CodeType:
    start, length, _ = _index[name]
    source = bytes(_sources[start : start + length])
    code: CodeType = compile(source, f"<frozen {name}>", "exec", dont_inherit=True, optimize=_OPTIMIZATION)
    return code


def load_all() -> list[str]:
    """Load what LOADED names. Returns the names of those that cannot be loaded."""
    failed = []
    for name in LOADED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed.append(f"{name}: {error}")
    for name, replace in _REPLACEMENTS.items():
        if name in sys.modules:
            replace(sys.modules[name])
    return failed


def fill_shelf(zones: dict[str, bytes]) -> None:
    """Put the rest of the library on the shelf, and time zones; then forget the sources."""
    for name in sorted(_index):
        if not _LEFT_OUT.isdisjoint(name.split(".")) or name.startswith(("_faas", "config-3")) or name in sys.modules:
            continue
        if name in missing.REASONS:
            continue
        code = marshal.dumps(_compile(name))
        _shelf[name] = zlib.compress(code, 9), _index[name][2]
    packed: dict[bytes, bytes] = {}  # many zones are the same under several names
    for key, content in sorted(zones.items()):
        _zones[key] = packed.setdefault(content, zlib.compress(content, 9))
    _index.clear()


def install_finders(*others: object) -> None:
    """Leave only the finders that a function needs."""
    kept = [
        finder for finder in sys.meta_path if getattr(finder, "__name__", "") in {"BuiltinImporter", "FrozenImporter"}
    ]
    sys.meta_path[:] = [*others, *kept, Shelf, missing.MissingModules]  # type: ignore[list-item]
    sys.path[:] = []
    sys.path_importer_cache.clear()
    sys.path_hooks[:] = []
    builtins.open = io.open = io.open_code = missing.refuse_files  # type: ignore[assignment]


_NETWORK_FUNCTIONS = (
    "getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "create_connection",
    "create_server", "socketpair", "fromfd",
)  # fmt: skip


_LOG_LEVELS = (1, 2, 3, 4)  # of the host: debug, info, warn, error


def _replace_logging(module: ModuleType) -> None:
    # AWS Lambda gives the root logger a handler, and its functions only set a level. The handler of last resort, which
    # writes warnings where there is none, writes all that the levels of the loggers admit: unlike with a handler of the
    # root logger, `basicConfig` still has an effect.
    module.lastResort.setLevel(module.NOTSET)
    from . import console  # which needs the host

    emit_text = module.StreamHandler.emit

    def emit(self: Any, record: Any) -> None:
        """Write a record to the execution's logs at its own level, where it would go to standard error."""
        if self.stream is not console.error:
            emit_text(self, record)
            return
        try:
            level = sum(record.levelno >= least for least in (module.INFO, module.WARNING, module.ERROR))
            console.error.log_record(_LOG_LEVELS[level], self.format(record))
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    module.StreamHandler.emit = emit


def _replace_socket(module: ModuleType) -> None:
    class Socket(module._socket.socket):  # type: ignore[name-defined,misc]
        def __init__(self, *arguments: object, **options: object) -> None:
            missing.refuse_network()

    module.socket = module.SocketType = Socket  # type: ignore[attr-defined]
    for name in _NETWORK_FUNCTIONS:
        setattr(module, name, missing.refuse_network)


def _replace_http_client(module: ModuleType) -> None:
    from . import http_client  # after the library, which it uses

    http_client.replace(module)


def _replace_urllib_request(module: ModuleType) -> None:
    from . import http_client

    http_client.replace_urllib(module)


def _replace_subprocess(module: ModuleType) -> None:
    module.Popen.__init__ = missing.refuse_processes


def _replace_threading(module: ModuleType) -> None:
    module.Thread.start = missing.refuse_threads
    sys.modules["_thread"].start_new_thread = missing.refuse_threads  # type: ignore[attr-defined]
    sys.modules["_thread"].start_joinable_thread = missing.refuse_threads  # type: ignore[attr-defined]


def _replace_zoneinfo(module: ModuleType) -> None:
    common = sys.modules["zoneinfo._common"]

    def load_tzdata(key: str) -> io.BytesIO:
        if key not in _zones:
            raise common.ZoneInfoNotFoundError(f"No time zone found with key {key}")
        return io.BytesIO(zlib.decompress(_zones[key]))

    def available_timezones() -> set[str]:
        return set(_zones)

    common.load_tzdata = load_tzdata  # type: ignore[attr-defined]
    module.available_timezones = available_timezones  # type: ignore[attr-defined]


_REPLACEMENTS: dict[str, Callable[[ModuleType], None]] = {
    "http.client": _replace_http_client,
    "logging": _replace_logging,
    "socket": _replace_socket,
    "subprocess": _replace_subprocess,
    "threading": _replace_threading,
    "urllib.request": _replace_urllib_request,
    "zoneinfo": _replace_zoneinfo,
}
