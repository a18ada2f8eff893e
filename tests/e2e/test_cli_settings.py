"""`faas deploy` and `faas run` with settings: options, a faas.toml, and what `faas get` and HTTP show of them."""

import json
from pathlib import Path

import httpx
import pytest

from tests.helpers.command_line import Faas
from tests.helpers.echo_server import serve_echo
from tests.helpers.server import Server

ECHO_ENVIRONMENT = "export const handle = () => ({ ...process.env });"
WORKER = """
export default {
  async fetch(request, env) {
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow: "GET, POST" } });
    return Response.json({ path: new URL(request.url).pathname, mode: env.MODE }, { status: 201 });
  },
};
"""
PROJECT = """
name = "shop"
file = "worker.js"
outbound = ["https://api.example.com"]

[env]
MODE = "project"

[limits]
time = "2s"

[http]
auth = "none"
"""


@pytest.fixture
def faas(server: Server) -> Faas:
    return Faas(server)


async def settings_of(faas: Faas, name: str) -> dict[str, object]:
    out, _ = await faas("get", name, "--json")
    found: dict[str, object] = json.loads(out)["settings"]
    return found


async def test_deploy_of_a_folder_takes_its_project_file(faas: Faas, server: Server, tmp_path: Path) -> None:
    (tmp_path / "faas.toml").write_text(PROJECT)
    (tmp_path / "worker.js").write_text(WORKER)
    out, _ = await faas("deploy", str(tmp_path))
    assert "shop created, revision 1: READY, live" in out
    project: dict[str, object] = {
        "env": {"MODE": "project"},
        "outbound": ["https://api.example.com"],
        "limits": {"time": 2.0},
        "http": {"auth": "none"},
    }
    assert await settings_of(faas, "shop") == project
    async with httpx.AsyncClient(base_url=server.url) as http:
        response = await http.get("/f/shop/a/b")
        assert (response.status_code, response.json()) == (201, {"path": "/a/b", "mode": "project"})
        response = await http.options("/f/shop")
        assert (response.status_code, response.headers["allow"], response.content) == (204, "GET, POST", b"")
        response = await http.head("/f/shop")
        assert (response.status_code, response.content) == (201, b"")
        assert int(response.headers["content-length"]) > 0

    out, _ = await faas("deploy", str(tmp_path / "worker.js"), "--env", "EXTRA=1", "--limit", "memory=64MiB")
    assert "shop updated, revision 2: READY, live" in out
    limits = {"time": 2.0, "memory": 64 << 20}
    assert await settings_of(faas, "shop") == {**project, "env": {"EXTRA": "1", "MODE": "project"}, "limits": limits}
    out, _ = await faas("get", "shop")
    for shown in ('env=MODE="project"', "outbound=https://api.example.com", "time=2s", "memory=64MiB", "public"):
        assert shown in out


async def test_deploy_keeps_the_settings_that_no_option_names(faas: Faas, tmp_path: Path) -> None:
    source = tmp_path / "kept.js"
    source.write_text(ECHO_ENVIRONMENT)
    (tmp_path / ".env").write_text("A=file\nB='two words'\n")
    await faas("deploy", str(source), "--env-file", str(tmp_path / ".env"), "--env", "A=option", "--public")
    out, _ = await faas("invoke", "kept")
    assert json.loads(out) == {"A": "option", "B": "two words"}
    source.write_text(f"{ECHO_ENVIRONMENT}\n// another revision\n")
    await faas("deploy", str(source), "--unset-env", "A")
    assert await settings_of(faas, "kept") == {"env": {"B": "two words"}, "http": {"auth": "none"}}
    await faas("deploy", str(source), "--private", "--unset-env", "B")
    assert await settings_of(faas, "kept") == {}
    out, _ = await faas("rollback", "kept")
    assert json.loads((await faas("invoke", "kept"))[0]) == {"B": "two words"}


async def test_deploy_with_a_secret_that_does_not_admit_it_says_what_to_do(faas: Faas, tmp_path: Path) -> None:
    source = tmp_path / "keyed.js"
    source.write_text("export const handle = () => process.env.KEY.length;")
    _, err = await faas("deploy", str(source), "--secret", "KEY", code=1)
    assert "faas secret set KEY --function keyed" in err
    await faas("secret", "set", "KEY", "--function", "keyed", stdin=b"12345")
    await faas("deploy", str(source), "--secret", "KEY")
    assert (await faas("invoke", "keyed"))[0].strip() == "5"
    _, err = await faas("secret", "delete", "KEY", code=1)
    assert "keyed" in err


async def test_run_honours_settings(tmp_path: Path) -> None:
    source = tmp_path / "called.js"
    source.write_text(
        "export async function handle({ url }) {\n"
        "  const response = await fetch(url, { headers: { 'x-key': process.env.KEY } });\n"
        "  return { mode: process.env.MODE, key: (await response.json()).headers['x-key'] };\n"
        "}\n"
    )
    with serve_echo() as echo:
        document = json.dumps({"url": echo.origin})
        faas = Faas(None, {"KEY": "of-the-environment"})
        given = ("--input", document, "--env", "MODE=test", "--secret", "KEY")
        out, _ = await faas("run", str(source), *given, "--outbound", echo.origin)
        assert json.loads(out) == {"mode": "test", "key": "of-the-environment"}
        _, err = await faas("run", str(source), *given, code=1)
        assert f"--outbound {echo.origin}" in err
        _, err = await Faas(None)("run", str(source), *given, code=2)
        assert "set the environment variable KEY" in err
        _, err = await faas("run", str(source), "--limit", "time=1h", code=2)
        assert "settings.limits.time: 3600 seconds is not accepted" in err
