"""Test of the wheel: built, unpacked into another folder, and run there without the checkout."""

import asyncio
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.support import returning_wat

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def unpacked(tmp_path: Path) -> Path:
    """A folder with the content of the wheel."""
    build = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=ROOT, stdout=-1, stderr=-1
    )
    out, err = await build.communicate()
    assert build.returncode == 0, (out + err).decode()
    (wheel,) = tmp_path.glob("*.whl")
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        for member in archive.infolist():  # pip keeps the permissions of programs, zipfile does not
            (folder / member.filename).chmod(member.external_attr >> 16 & 0o777)
    return folder


async def test_wheel_serves_and_compiles_without_the_checkout(
    unpacked: Path, database_url: str, tmp_path: Path
) -> None:
    assert {file.name for file in (ROOT / "sql" / "queries").iterdir()} == {
        file.name for file in (unpacked / "faas" / "sql" / "queries").iterdir()
    }
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(unpacked)!r})
import faas, httpx
assert faas.__file__.startswith({str(unpacked)!r}), faas.__file__
from faas.bootstrap import open_service
from faas.settings import Settings
async def main():
    async with open_service(Settings(database_url={database_url!r})) as service:
        transport = httpx.ASGITransport(service.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            source = "export function handle(input: string): string {{ return input; }}"
            for body in ({{"name": "a", "language": "assemblyscript", "source": source}},
                         {{"name": "b", "language": "wat", "source": {returning_wat("7")!r}}}):
                assert (await http.post("/functions", json=body)).status_code == 201
                while (found := (await http.get("/functions/" + body["name"])).json())["status"] in ("PENDING", "COMPILING"):
                    await asyncio.sleep(0.05)
                assert found["status"] == "READY", found
                answer = await http.post("/functions/" + body["name"] + "/execute", json={{"input": {{"x": 1}}}})
                print(answer.json()["output"])
            assert (await http.get("/schema/swagger-ui.css")).status_code == 200
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=tmp_path, env={"HOME": str(tmp_path)}, stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()
    assert [line for line in out.decode().splitlines() if "[info" not in line] == ["{'x': 1}", "7"]
