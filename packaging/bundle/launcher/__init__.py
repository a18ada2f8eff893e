"""Compiles the launcher, with the C compiler that the package `ziglang` brings."""

import hashlib
import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

_SOURCES = Path(__file__).parent
_FLAGS = ["-target", "x86_64-linux-musl", "-static", "-Os", "-s", "-std=gnu23", "-D_GNU_SOURCE"]
_WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def compile_launcher(build: Path, lock: Path) -> Path:
    """The launcher, below `build`; compiled again only when its sources or versions have changed."""
    sources = sorted(_SOURCES.glob("*.[ch]"))
    digest = hashlib.sha256(version("ziglang").encode() + version("zstandard").encode())
    for source in sources:
        digest.update(source.read_bytes())
    launcher = build / f"launcher-{digest.hexdigest()[:12]}"
    if not launcher.exists():
        zstd = zstd_sources(build, lock)
        programs = [source for source in sources if source.suffix == ".c"]
        environment = {
            **os.environ,
            "ZIG_GLOBAL_CACHE_DIR": str(build / "zig"),
            "ZIG_LOCAL_CACHE_DIR": str(build / "zig"),
        }
        zig = [sys.executable, "-m", "ziglang", "cc", *_FLAGS]
        library = build / "zstd.o"
        subprocess.run([*zig, "-c", str(zstd / "zstd.c"), "-o", str(library)], check=True, env=environment)
        partial = launcher.with_suffix(".partial")
        command = [*zig, *_WARNINGS, "-isystem", *map(str, (zstd, *programs, library, "-o", partial))]
        subprocess.run(command, check=True, env=environment)
        partial.rename(launcher)
    return launcher


def zstd_sources(build: Path, lock: Path) -> Path:
    """Return the folder with zstd's C sources, from the source package of the same `zstandard` that compresses."""
    release = version("zstandard")
    archive = build / f"zstandard-{release}.tar.gz"
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    download += ["--no-binary", ":all:", "--no-build-isolation", f"zstandard=={release}", "--dest", str(build)]
    if not archive.exists():
        # pip asks the source package for its metadata, and that calls a C compiler: the system need not have one.
        environment = {**os.environ, "CC": f"{sys.executable} -m ziglang cc"}
        subprocess.run(download, check=True, env=environment)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if f"sha256:{digest}" not in lock.read_text():
        raise SystemExit(f"{archive}: its hash is not the one in {lock}")
    with tarfile.open(archive) as tar:
        tar.extraction_filter = getattr(
            tarfile, "data_filter", None
        )  # older versions lack the filter; the verified hash makes the archive trusted
        tar.extractall(build)  # noqa: S202
    return build / f"zstandard-{release}" / "zstd"
