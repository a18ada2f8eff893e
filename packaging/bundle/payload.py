"""The bundle's folder as the end of an executable file: the launcher, a tar compressed with zstd, the trailer."""

import hashlib
import io
import struct
import tarfile
from pathlib import Path

import zstandard

# As in launcher/launcher.h: offset, length, key, glibc, magic.
_TRAILER = struct.Struct("<QQ40s8s16s")
_MAGIC = b"faas-bundle-1"
# Half of level 19's gain at an eighth of its time; the window size determines the launcher's memory.
_LEVEL = 12
_WINDOW_LOG = 23


def write_executable(output: Path, launcher: Path, bundle: Path, *, version: str, glibc: str) -> None:
    """Write `output`. The same bundle gives the same bytes, and so the same key and folder where it is unpacked."""
    payload = _compressed(bundle)
    key = f"{version}-{hashlib.sha256(payload).hexdigest()[:12]}"
    content = launcher.read_bytes()
    trailer = _TRAILER.pack(len(content), len(payload), key.encode(), glibc.encode(), _MAGIC)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(output.name + ".partial")
    partial.write_bytes(content + payload + trailer)
    partial.chmod(0o755)
    partial.rename(output)


def _compressed(bundle: Path) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, write_checksum=True, threads=-1
    )
    compressed = io.BytesIO()
    with (
        zstandard.ZstdCompressor(compression_params=parameters).stream_writer(compressed, closefd=False) as writer,
        tarfile.open(fileobj=writer, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in sorted(bundle.rglob("*")):
            tar.add(path, str(path.relative_to(bundle)), recursive=False, filter=_anonymous)
    return compressed.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove times, owners and the umask, so that builds are reproducible."""
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
