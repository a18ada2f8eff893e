"""Installation takes exactly what the lock files pin, whatever newer releases the package index offers."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.smoke.package_index import (
    NEWER,
    NEWER_NPM,
    PackageIndex,
    download_tarballs,
    download_wheels,
    locked_packages,
)

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
SEEDS = {"pip", "setuptools", "faas"}  # what `python -m venv` brings, and the project itself
NPM_FOLDERS = ("src/faas/compile/toolchain", "src/faas/api/pages", "engines/javascript")
NPM_LOCKS = [ROOT / folder / "package-lock.json" for folder in NPM_FOLDERS]
BENCH_NPM_LOCK = ROOT / "bench/peers/javascript/package-lock.json"  # not of `make setup`

# The pip of Python 3.11.0, of Debian 12, of Python 3.11.5, the last of 2024, and the newest.
PIPS = {
    "22.3.1": "908c78e6bc29b676ede1c4d57981d490cb892eb45cd8c214ab6298125119e077",
    "23.0.1": "236bcb61156d76c4b8a05821b988c7b8c35bf0da28a4b614e8d6ab5212c25c6f",
    "23.2.1": "7ccf472345f20d35bdc9d1841ff5f313260c2c33fe417f48c30ac46cccabf5be",
    "24.3.1": "3790624780082365f47549d032f3770eeb2b1e8bd1f7b2e02dace1afa361b4ed",
    "26.3": None,  # as requirements/dev.lock pins it
}


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageIndex]:
    """An index of everything that is locked, and of a newer release of each."""
    folder = tmp_path_factory.mktemp("index")
    names = ("installer", "build", "run", "dev", "bundle", "bench", "dist", "engines", "toolchains")
    locks = [LOCKS / f"{name}.lock" for name in names]
    download_wheels(locks, folder / "wheels")
    tarballs = download_tarballs([*NPM_LOCKS, BENCH_NPM_LOCK], folder / "tarballs")
    with PackageIndex(folder / "wheels", tarballs).serving() as serving:
        yield serving


@pytest.fixture(scope="session")
def pips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of PIPS."""
    folder = tmp_path_factory.mktemp("pips")
    pins = folder / "pips.txt"
    for version, digest in PIPS.items():
        if digest:
            pins.write_text(f"pip=={version} --hash=sha256:{digest}\n")
            download_wheels([pins], folder)
    download_wheels([_only(LOCKS / "dev.lock", "pip", folder / "newest.txt")], folder)
    return folder


@pytest.fixture
def environment(index: PackageIndex, tmp_path: Path) -> dict[str, str]:
    """Variables that name the index alone, and caches that are empty."""
    index.served.clear()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"{index.url}/simple",
        "PIP_CACHE_DIR": str(tmp_path / "pip-cache"),
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": f"{index.url}/simple",
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
        "npm_config_registry": f"{index.url}/npm/",
        "npm_config_cache": str(tmp_path / "npm-cache"),
        "npm_config_userconfig": os.devnull,
    }


@pytest.fixture
def python_with_pip(pips: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Make a `python3` whose `-m venv` gives an environment with that version of pip."""

    def make(version: str) -> Path:
        script = tmp_path / f"python3-with-pip-{version}"
        (wheel,) = pips.glob(f"pip-{version}-*.whl")
        script.write_text(
            f'#!/bin/sh\n"{PYTHON}" "$@" || exit\n'
            f'case "$1 $2" in "-m venv") for folder; do :; done\n'
            f'"$folder/bin/python" -m pip install --quiet --no-deps --no-index --force-reinstall "{wheel}";; esac\n'
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return script

    return make


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the working tree, without what git ignores."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    folder = tmp_path / "checkout"
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def test_index_would_change_an_installation_that_resolves(
    index: PackageIndex, environment: dict[str, str], python_with_pip: Callable[[str], Path], tmp_path: Path
) -> None:
    """The control: what used to be the set-up command fails with an old pip, and an open one takes the newer release."""
    place = tmp_path / "open"
    _run([str(python_with_pip("22.3.1")), "-m", "venv", str(place)], environment)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    result = _run([*pip, "--require-hashes", "-r", str(LOCKS / "bundle.lock")], environment, code=1)
    assert "must have their versions pinned" in result
    _run([*pip, "click"], environment)
    assert _installed(place)["click"] == NEWER


@pytest.mark.parametrize("pip", PIPS)
def test_make_setup_installs_exactly_the_locked_packages(
    pip: str,
    index: PackageIndex,
    environment: dict[str, str],
    python_with_pip: Callable[[str], Path],
    checkout: Path,
) -> None:
    _run(["make", "setup", f"PYTHON={python_with_pip(pip)}"], environment, checkout)
    installed = _installed(checkout / ".venv")
    assert installed["pip"] == pip
    assert _without_seeds(installed) == locked_packages(LOCKS / "installer.lock", LOCKS / "run.lock")
    assert _without_seeds(_installed(checkout / ".venv-engines")) == locked_packages(LOCKS / "engines.lock")
    _assert_index_served(index, installed)
    _assert_npm_packages_are_locked(index, checkout)


def test_make_targets_add_exactly_their_locked_packages(
    index: PackageIndex, environment: dict[str, str], checkout: Path
) -> None:
    names = ["installer", "run"]
    locks = {"dev": "dev", "gemini": "bundle", ".venv/.dist-done": "dist", "toolchains": "toolchains"}
    for target, lock in locks.items():
        _run(["make", target, f"PYTHON={PYTHON}"], environment, checkout)
        names.append(lock)
        installed = _installed(checkout / ".venv")
        expected = locked_packages(*(LOCKS / f"{name}.lock" for name in names))
        assert _without_seeds(installed) == {name: expected[name] for name in expected.keys() - SEEDS}
    uv = [str(checkout / ".venv/bin/uv"), "pip", "check", "--python"]
    _run([*uv, str(checkout / ".venv")], environment)
    _run(["make", ".venv-bench/.done"], environment, checkout)
    _run([*uv, str(checkout / ".venv-bench")], environment)
    assert _without_seeds(_installed(checkout / ".venv-bench")) == locked_packages(LOCKS / "bench.lock")
    _assert_index_served(index, installed)


def test_make_setup_repairs_an_interrupted_environment(
    index: PackageIndex, environment: dict[str, str], checkout: Path
) -> None:
    command = ["make", "setup", f"PYTHON={PYTHON}"]
    process = subprocess.Popen(
        command,
        cwd=checkout,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    while not any(file.startswith("wasmtime") for file in index.served):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)  # not SIGINT, which a shell's background jobs ignore
    assert process.wait(60) != 0
    _run(command, environment, checkout)
    _assert_run_set_is_whole(checkout)

    (checkout / ".venv/bin/python").unlink()
    shutil.rmtree(checkout / "src/faas/compile/toolchain/node_modules")
    _run(command, environment, checkout)
    _assert_run_set_is_whole(checkout)

    moved = checkout.with_name("moved")
    checkout.rename(moved)
    _run(command, environment, moved)
    _assert_run_set_is_whole(moved)
    assert "Nothing to be done for 'setup'" in _run(command, environment, moved)


@pytest.mark.parametrize("pip", PIPS)
def test_wheel_installs_exactly_the_locked_packages(
    pip: str,
    index: PackageIndex,
    environment: dict[str, str],
    python_with_pip: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """The two commands of packaging/README.md."""
    place = tmp_path / "installed"
    _run([str(python_with_pip(pip)), "-m", "venv", str(place)], environment)
    install = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    (wheel,) = (ROOT / "dist").glob("*.whl")
    _run([*install, "--no-deps", "--require-hashes", "-r", str(LOCKS / "bundle.lock")], environment)
    _run([*install, "--no-deps", str(wheel)], environment)
    installed = _installed(place)
    assert _without_seeds(installed) == locked_packages(LOCKS / "bundle.lock")
    _assert_index_served(index, installed)
    _run([str(place / "bin" / "python"), "-m", "pip", "check"], environment)
    assert "does not start" not in _run([str(place / "bin" / "faas"), "--version"], environment)


def _run(command: list[str], environment: dict[str, str], folder: Path | None = None, code: int = 0) -> str:
    """Run a command, which must end with this exit code; return what it wrote."""
    result = subprocess.run(
        command,
        check=False,
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert result.returncode == code, f"{command}: exit code {result.returncode}, not {code}:\n{result.stdout}"
    return result.stdout


def _installed(place: Path) -> dict[str, str]:
    """Return name → version of what the environment holds."""
    code = (
        "import json; from importlib.metadata import distributions; "
        "print(json.dumps({d.name.lower().replace('_', '-').replace('.', '-'): d.version for d in distributions()}))"
    )
    found: dict[str, str] = json.loads(_run([str(place / "bin" / "python"), "-I", "-c", code], {}))
    return found


def _without_seeds(installed: dict[str, str]) -> dict[str, str]:
    return {name: version for name, version in installed.items() if name not in SEEDS}


def _assert_index_served(index: PackageIndex, installed: dict[str, str]) -> None:
    """The index served the locked file of each installed package, and nothing newer."""
    assert not [file for file in index.served if f"-{NEWER}-" in file]
    for name, version in _without_seeds(installed).items():
        prefix = f"{name.replace('-', '_')}-{version}-"
        assert any(file.lower().replace(".", "_").startswith(prefix.replace(".", "_")) for file in index.served), name


def _assert_npm_packages_are_locked(index: PackageIndex, checkout: Path) -> None:
    for lock in NPM_LOCKS:
        for place, entry in json.loads(lock.read_text())["packages"].items():
            package = checkout / lock.parent.relative_to(ROOT) / place / "package.json"
            of_another_platform = entry.get("optional") and not package.exists()
            if place and not of_another_platform:
                assert json.loads(package.read_text())["version"] == entry["version"]
    assert not [file for file in index.served if NEWER_NPM in file]
    assert any(file.startswith("assemblyscript-") for file in index.served)


def _assert_run_set_is_whole(checkout: Path) -> None:
    assert _without_seeds(_installed(checkout / ".venv")) == locked_packages(
        LOCKS / "installer.lock", LOCKS / "run.lock"
    )
    assert "does not start" not in _run([str(checkout / ".venv/bin/faas"), "--version"], {"PATH": os.environ["PATH"]})


def _only(lock: Path, name: str, target: Path) -> Path:
    """Write the lock file's entry for one package to `target`."""
    lines = lock.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    last = next(number for number in range(first, len(lines)) if not lines[number].endswith("\\"))
    target.write_text("\n".join(lines[first : last + 1]) + "\n")
    return target
