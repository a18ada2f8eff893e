"""Build dist/faas: `PYTHONPATH=packaging python -m bundle.build WHEEL OUTPUT`, with the Python that is to be inside."""

import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from bundle.launcher import compile_launcher
from bundle.libraries import carry_libraries
from bundle.notices import FILE_NAME, collect_parts, full_page, table_page
from bundle.packages import install_packages
from bundle.payload import write_executable
from bundle.python_home import copy_python

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_LOCKS = _ROOT / "requirements"
_BUILD = _ROOT / "build"
_STARTED = time.monotonic()


def main() -> None:
    """Assemble the bundle, write dist/faas and print its size."""
    wheel, output = Path(sys.argv[1]), Path(sys.argv[2])
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SystemExit("dist/faas is built on and for Linux x86-64")
    _say("the launcher")
    _BUILD.mkdir(exist_ok=True)
    launcher = compile_launcher(_BUILD, _LOCKS / "dist.lock")
    bundle = _BUILD / "bundle"
    shutil.rmtree(bundle, ignore_errors=True)
    _say(f"Python {platform.python_version()} and the packages")
    copy_python(bundle)
    install_packages(bundle, wheel, _LOCKS / "bundle.lock")
    for script in (_HERE / "inside").iterdir():
        shutil.copy2(script, bundle)
    carried = carry_libraries(bundle)
    _say("third-party notices")
    parts = collect_parts(bundle, _BUILD, _LOCKS, carried.origins)
    (_BUILD / FILE_NAME).write_text(table_page(parts))
    notices = output.with_name(FILE_NAME)
    notices.write_text(full_page(parts))
    shutil.copy2(notices, bundle)
    _say("byte code")
    _compile(bundle)
    _say("the file")
    write_executable(output, launcher, bundle, version=version("faas"), glibc=carried.glibc)
    unpacked = sum(path.lstat().st_size for path in bundle.rglob("*") if path.is_file())
    size = output.stat().st_size / 1e6
    print(f"{output}: {size:.1f} MB, unpacked {unpacked / 1e6:.0f} MB; for glibc {carried.glibc} or newer")
    print(f"{notices}: the licences of its {sum(part.shipped for part in parts)} parts, also in the file")


def _compile(bundle: Path) -> None:
    """Compile with the bundled Python, with unchecked hashes, because sources in the bundle never change.

    Third-party sources are deleted, which halves the number of files.
    """
    command = [str(bundle / "bin" / "faas"), "-I", "-S", "-m", "compileall", "-q", "-j", "0", "-s", str(bundle)]
    command += ["--invalidation-mode", "unchecked-hash"]
    ours = bundle / "packages" / "faas"
    subprocess.run([*command, "-b", "-x", f"{ours}/", str(bundle / "lib"), str(bundle / "packages")], check=True)
    subprocess.run([*command, str(ours)], check=True)
    for source in bundle.rglob("*.py"):
        if source.with_suffix(".pyc").exists():
            source.unlink()


def _say(step: str) -> None:
    print(f"{time.monotonic() - _STARTED:6.1f} s  {step}", flush=True)


if __name__ == "__main__":
    main()
