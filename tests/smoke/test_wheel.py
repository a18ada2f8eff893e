"""The wheel alone, installed with its locked dependencies into an environment of its own; and dist/faas, as the current user.

Both run with an empty PATH, another HOME and no inherited variables.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.smoke.process import ROOT, Faas, finish

UV = Path(sys.executable).with_name("uv")


@pytest.fixture(params=["the wheel", "the one file"])
def faas(request: pytest.FixtureRequest, shipped: Path, tmp_path: Path) -> Path:
    """The command, as installed."""
    if request.param == "the one file":
        return shipped / "faas"
    (wheel,) = (ROOT / "dist").glob("*.whl")
    place = tmp_path / "installed"
    install = [str(UV), "pip", "install", "--quiet", "--python", str(place)]
    for command in (
        [str(UV), "venv", "--quiet", "--python", sys.executable, str(place)],
        [*install, "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / "run.lock")],
        [*install, "--no-deps", "--offline", str(wheel)],
    ):
        subprocess.run(command, check=True, timeout=600)
    return place / "bin" / "faas"


def test_installation_serves_compiles_and_executes(faas: Path, tmp_path: Path) -> None:
    environment = {"PATH": "", "HOME": str(tmp_path / "home"), "FAAS_CACHE_DIR": str(tmp_path / "cache")}

    def start(*arguments: str, errors: int = subprocess.PIPE, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [faas, *arguments], env={**environment, **more}, cwd=tmp_path, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip

    assert "does not start" not in finish(start("--version"))[0]
    data = ("--data-dir", str(tmp_path / "data"))
    with Faas(start("serve", "--port", "0", *data, errors=subprocess.STDOUT)) as server:
        out, _ = finish(start("deploy", str(ROOT / "examples" / "hello.ts"), FAAS_URL=server.url))
        assert "hello created, revision 1: READY" in out
        out, _ = finish(start("invoke", "hello", "--input", '{"name": "you"}', FAAS_URL=server.url))
        assert json.loads(out) == {"greeting": "Hello, you!"}
    assert not (tmp_path / "home").exists()
