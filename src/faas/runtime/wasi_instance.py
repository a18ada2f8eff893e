"""An instance of a WASI command: wasmtime's own implementation of WASI preview 1, with nothing but standard streams.

There are no files, no network, and one argument, the program's name. The environment is that of the function. Clocks
and randomness are real.
"""

import errno
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from faas.runtime import c_api
from faas.runtime.c_api import ffi, lib
from faas.runtime.instance import Instance

ffi.cdef("""
typedef struct { size_t size; uint8_t *data; } wasm_byte_vec_t;
void wasm_byte_vec_new(wasm_byte_vec_t *vector, size_t size, const char *data);
void *wasi_config_new(void);
bool wasi_config_set_argv(void *config, size_t count, const char **arguments);
bool wasi_config_set_env(void *config, size_t count, const char **names, const char **values);
void wasi_config_set_stdin_bytes(void *config, wasm_byte_vec_t *content);
typedef ptrdiff_t (*wasi_write_t)(void *stream, const unsigned char *data, size_t size);
void wasi_config_set_stdout_custom(void *config, wasi_write_t write, void *stream, void *finalizer);
void wasi_config_set_stderr_custom(void *config, wasi_write_t write, void *stream, void *finalizer);
void *wasmtime_context_set_wasi(void *context, void *config);
""")

_PROGRAM = ffi.new("char[]", b"function")
_ARGUMENTS = ffi.new("const char *[]", [_PROGRAM])


class OutputStream:
    """What a guest writes to a standard stream, up to `limit` bytes. `full` is True when there was more.

    More is an error for the guest, unless `drops`: programs end when they cannot write to standard error. `throttle`
    is called before each write.
    """

    def __init__(self, limit: int, throttle: Callable[[], None], *, drops: bool = False) -> None:
        self.content = bytearray()
        self.full = False
        self._limit = limit
        self._throttle = throttle
        self._drops = drops

    def write(self, data: Any, size: int) -> int:
        """Keep what fits, and return how many bytes the guest has written."""
        self._throttle()
        kept = min(size, self._limit - len(self.content))
        self.content += ffi.buffer(data, kept)
        self.full = self.full or kept < size
        if self._drops:
            return size
        return kept if kept or not size else -errno.ENOSPC


# The streams that guests can write to, by a number that is the `stream` of the calls. wasmtime makes them on threads of
# its own, while the guest waits; with a pointer, one after the instance is gone would end the process.
_streams: dict[int, OutputStream] = {}
_numbers = itertools.count(1)


@ffi.callback("wasi_write_t", error=-errno.EIO)
def _write(stream: Any, data: Any, size: int) -> int:
    output = _streams.get(int(ffi.cast("uintptr_t", stream)))
    return output.write(data, size) if output else size


def _no_throttle() -> None:
    """Used before there is an input, when nothing can be written."""


def _c_strings(texts: Iterable[str]) -> list[Any]:
    return [ffi.new("char[]", text.encode("utf-8", "replace")) for text in texts]


class WasiInstance(Instance):
    """An instance whose imports of WASI work. `stdout` and `stderr` are what it has written since `set_input`."""

    __slots__ = ("_numbers", "stderr", "stdout")

    def __init__(self, engine: Any, memory_limit: int) -> None:
        super().__init__(engine, memory_limit)
        self._numbers: list[int] = []
        # A start function may call WASI before there is an input; wasmtime ends the process where nothing is set.
        self.set_input(b"", output_limit=0, log_limit=0, throttle=_no_throttle, environment={})

    def close(self) -> None:
        """Delete the store with the instance and its memory, and forget the streams."""
        super().close()
        self._forget_streams()

    def set_input(
        self,
        content: bytes,
        *,
        output_limit: int,
        log_limit: int,
        throttle: Callable[[], None],
        environment: Mapping[str, str],
    ) -> None:
        """Make `content` the standard input, and empty the standard output and error output.

        `environment` are the environment variables. What follows a NUL in one is cut off.
        """
        self._forget_streams()
        self.stdout = OutputStream(output_limit, throttle)
        self.stderr = OutputStream(log_limit, throttle, drops=True)
        vector: Any = ffi.new("wasm_byte_vec_t *")
        lib.wasm_byte_vec_new(vector, len(content), content)
        config = lib.wasi_config_new()
        lib.wasi_config_set_argv(config, 1, _ARGUMENTS)
        names, values = _c_strings(environment), _c_strings(environment.values())
        lib.wasi_config_set_env(config, len(names), ffi.new("const char *[]", names), ffi.new("const char *[]", values))
        lib.wasi_config_set_stdin_bytes(config, vector)
        lib.wasi_config_set_stdout_custom(config, _write, self._number(self.stdout), ffi.NULL)
        lib.wasi_config_set_stderr_custom(config, _write, self._number(self.stderr), ffi.NULL)
        error = lib.wasmtime_context_set_wasi(self._context, config)
        if error:
            c_api.raise_failure(error, ffi.NULL)

    def _number(self, stream: OutputStream) -> Any:
        number = next(_numbers)
        _streams[number] = stream
        self._numbers.append(number)
        return ffi.cast("void *", number)

    def _forget_streams(self) -> None:
        for number in self._numbers:
            del _streams[number]
        self._numbers.clear()
