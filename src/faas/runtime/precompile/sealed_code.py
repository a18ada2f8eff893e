"""Native code of an engine in sealed memory: one copy for the server and for the worker processes that it hands it to.

A file in memory (memfd_create) that is sealed after it was written: no process can change, shorten or extend it any
more, not even one that inherits its descriptor. Loaded from there, the pages are shared by all processes that use them,
and loading takes a millisecond instead of the copying of 50 MB.
"""

import fcntl
import hashlib
import mmap
import os
from pathlib import Path

import wasmtime

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class SealedCode:
    """Native code of `size` bytes in sealed memory, until `close`. Modules that were loaded from it stay valid."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self.size = size

    @classmethod
    def of(cls, native_code: bytes) -> "SealedCode":
        """Return `native_code` in sealed memory. Raises OSError."""
        descriptor = _create()
        try:
            rest = memoryview(native_code)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            return cls._seal(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def copy_of(cls, file: int, start: int) -> "SealedCode":
        """Return the content of the open file with this descriptor, from `start`, in sealed memory. Raises OSError."""
        descriptor = _create()
        try:
            size = os.fstat(file).st_size
            while start < size and (sent := os.sendfile(descriptor, file, start, size - start)):
                start += sent
            return cls._seal(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def _seal(cls, descriptor: int) -> "SealedCode":
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        return cls(descriptor, os.fstat(descriptor).st_size)

    def digest(self) -> bytes:
        """Return the SHA-256 digest of the native code."""
        if not self.size:
            return hashlib.sha256().digest()
        with mmap.mmap(self.descriptor, self.size, mmap.MAP_PRIVATE, mmap.PROT_READ) as content:
            return hashlib.sha256(content).digest()

    def content(self) -> bytes:
        """Return the native code."""
        return os.pread(self.descriptor, self.size, 0)

    def load(self, engine: wasmtime.Engine) -> wasmtime.Module:
        """Return the module. Raises wasmtime.WasmtimeError where it was made for another engine."""
        path = Path(f"/proc/self/fd/{self.descriptor}")
        if path.exists():
            return wasmtime.Module.deserialize_file(engine, str(path))
        return wasmtime.Module.deserialize(engine, self.content())  # without /proc

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


def _create() -> int:
    return os.memfd_create("faas-native-code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
