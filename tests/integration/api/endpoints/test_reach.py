"""What functions reach through the whole service: environment, secrets, and outbound requests, in each language."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.echo_server import EchoServer, serve_echo
from tests.helpers.support import Platform

VALUE = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"

JAVASCRIPT = """
export async function handle({ url, header }) {
  const response = await fetch(url, { headers: { authorization: `Bearer ${process.env[header] ?? ""}` } });
  return { status: response.status, echoed: await response.json(), mode: process.env.MODE, seen: process.env[header] };
}
"""
PYTHON = """
import json, os, urllib.request

def handle(input):
    key = os.environ.get(input["header"], "")
    request = urllib.request.Request(input["url"], headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as response:
        return {"status": response.status, "echoed": json.load(response), "mode": os.environ["MODE"], "seen": key}
"""
LANGUAGES = {"javascript": JAVASCRIPT, "python": PYTHON}


@pytest.fixture(scope="module")
def echo() -> Iterator[EchoServer]:
    with serve_echo() as server:
        yield server


async def set_secret(platform: Platform, name: str, **fields: Any) -> None:
    response = await platform.http.put(f"/secrets/{name}", json={"value": VALUE, "functions": ["*"], **fields})
    assert response.is_success, response.text


async def deploy(platform: Platform, name: str, source: str, language: str, **settings: Any) -> None:
    await platform.register(name, source, language, settings=settings)
    function = await platform.settled(name, timeout=120)
    assert function["status"] == "READY", function["compileError"]


async def output_of(platform: Platform, name: str, document: dict[str, Any]) -> dict[str, Any]:
    execution = await platform.execute(name, document)
    assert execution["status"] == "COMPLETED", execution["errorMessage"]
    output: dict[str, Any] = execution["output"]
    return {**output, "id": execution["id"]}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_function_calls_an_api_with_a_secret(endpoints: Platform, echo: EchoServer, language: str) -> None:
    name, secret = f"calls-{language}", f"KEY_{language.upper()}"
    await set_secret(endpoints, secret)
    await deploy(
        endpoints, name, LANGUAGES[language], language,
        env={"MODE": "test"}, secrets=[secret], outbound=[echo.origin],
    )  # fmt: skip
    output = await output_of(endpoints, name, {"url": f"{echo.origin}/path?token=1", "header": secret})
    assert (output["status"], output["mode"], output["seen"]) == (200, "test", VALUE)
    assert output["echoed"]["headers"]["authorization"] == f"Bearer {VALUE}"
    record = (await endpoints.http.get(f"/executions/{output['id']}")).json()
    (request,) = record["requests"]
    assert request.pop("milliseconds") >= 0
    assert request == {"method": "GET", "url": f"{echo.origin}/path", "status": 200, "error": None}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_secret_with_hosts_never_enters_the_function(
    endpoints: Platform, echo: EchoServer, language: str
) -> None:
    """The server sends it to its host alone, and takes it out of what comes back."""
    name, secret = f"hidden-{language}", f"HIDDEN_{language.upper()}"
    await set_secret(endpoints, secret, hosts=[echo.origin])
    other = echo.origin.replace("127.0.0.1", "localhost")
    await deploy(
        endpoints, name, LANGUAGES[language], language,
        env={"MODE": ""}, secrets=[secret], outbound=[echo.origin, other],
    )  # fmt: skip
    output = await output_of(endpoints, name, {"url": f"{echo.origin}/here", "header": secret})
    placeholder = output["seen"]
    assert placeholder.startswith(f"faas-secret-{secret}-")
    assert output["echoed"]["headers"]["authorization"] == f"Bearer {placeholder}"
    assert echo.last_headers["authorization"] == f"Bearer {VALUE}"
    elsewhere = await output_of(endpoints, name, {"url": f"{other}/elsewhere", "header": secret})
    assert echo.last_headers["authorization"] == f"Bearer {elsewhere['seen']}"
    assert elsewhere["seen"] != placeholder  # another one for each execution
    assert VALUE not in json.dumps([output, elsewhere])


async def test_secret_that_is_replaced_is_used_at_the_next_execution(endpoints: Platform, echo: EchoServer) -> None:
    await set_secret(endpoints, "REPLACED")
    await deploy(
        endpoints, "replaced", JAVASCRIPT, "javascript", env={"MODE": ""}, secrets=["REPLACED"], outbound=[echo.origin]
    )
    given = {"url": echo.origin, "header": "REPLACED"}
    assert (await output_of(endpoints, "replaced", given))["seen"] == VALUE
    await endpoints.http.put("/secrets/REPLACED", json={"value": "new", "functions": ["*"]})
    assert (await output_of(endpoints, "replaced", given))["seen"] == "new"
    await endpoints.http.put("/secrets/REPLACED", json={"value": "new", "functions": ["others-*"]})
    execution = await endpoints.execute("replaced", given)
    assert execution["status"] == "FAILED"
    assert "does not admit the function 'replaced'" in execution["errorMessage"]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_request_to_what_is_not_listed_names_the_command(
    endpoints: Platform, echo: EchoServer, language: str
) -> None:
    await deploy(endpoints, f"unlisted-{language}", LANGUAGES[language], language, env={"MODE": ""})
    execution = await endpoints.execute(f"unlisted-{language}", {"url": echo.origin, "header": "X"})
    assert execution["status"] == "FAILED"
    assert f"--outbound {echo.origin}" in execution["errorMessage"]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_secret_at_top_level_is_a_compile_error(endpoints: Platform, language: str) -> None:
    await set_secret(endpoints, "EARLY")
    source = {
        "javascript": "const key = process.env.EARLY;\nexport const handle = () => key;",
        "python": "import os\nKEY = os.environ['EARLY']\ndef handle(input):\n    return KEY\n",
    }[language]
    await endpoints.register(f"early-{language}", source, language, settings={"secrets": ["EARLY"]})
    function = await endpoints.settled(f"early-{language}", timeout=120)
    assert function["status"] == "FAILED"
    assert "read it in the handler" in function["compileError"]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_other_environment_takes_a_new_image_and_other_origins_do_not(endpoints: Platform, language: str) -> None:
    name = f"images-{language}"
    source = {
        "javascript": "const mode = process.env.MODE;\nexport const handle = () => ({ mode });",
        "python": "import os\nMODE = os.environ.get('MODE')\ndef handle(input):\n    return {'mode': MODE}\n",
    }[language]
    await deploy(endpoints, name, source, language, env={"MODE": "one"})
    changed = await endpoints.put(name, source, language, settings={"env": {"MODE": "one"}, "outbound": ["*"]})
    assert changed["latest"]["status"] == "READY"  # at once: nothing is compiled
    assert (await endpoints.execute(name))["output"] == {"mode": "one"}
    changed = await endpoints.put(name, source, language, settings={"env": {"MODE": "two"}})
    assert changed["latest"]["status"] != "READY"
    assert (await endpoints.latest_settled(name))["latest"]["status"] == "READY"
    assert (await endpoints.execute(name))["output"] == {"mode": "two"}
    assert (await endpoints.execute(f"{name}@1"))["output"] == {"mode": "one"}


async def test_environment_of_the_server_is_not_visible(endpoints: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAAS_TEST_HIDDEN", VALUE)
    sources = {
        "javascript": "export const handle = () => ({ ...process.env });",
        "python": "import os\ndef handle(input):\n    return dict(os.environ)\n",
    }
    for language, source in sources.items():
        await deploy(endpoints, f"environment-{language}", source, language, env={"OWN": "1"})
        assert (await endpoints.execute(f"environment-{language}"))["output"] == {"OWN": "1"}


async def test_execution_ends_its_request_at_the_time_limit(endpoints: Platform) -> None:
    """The server sees its connection closed; no thread and no request is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await deploy(
            endpoints, "waits", JAVASCRIPT, "javascript", env={"MODE": ""}, outbound=[origin], limits={"time": 0.5}
        )
        calling = asyncio.create_task(endpoints.execute("waits", {"url": origin, "header": "X"}))
        connection, _ = await asyncio.to_thread(listening.accept)
        with connection:
            connection.settimeout(30)
            execution = await calling
            assert execution["status"] == "FAILED"
            assert "time limit of 500ms exceeded" in execution["errorMessage"]
            while await asyncio.to_thread(connection.recv, 65536):
                pass  # the request, then the end of the connection
    record = (await endpoints.http.get(f"/executions/{execution['id']}")).json()
    assert record["requests"][0]["status"] is None


async def test_executions_that_wait_for_requests_wait_together(endpoints: Platform) -> None:
    """60 of them, whose server answers when all are there: one after the other they would exceed their time limit."""
    waiting: list[asyncio.StreamWriter] = []
    all_there = asyncio.Event()

    async def answer_when_all_are_there(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        waiting.append(writer)
        if len(waiting) == 60:
            all_there.set()
        await all_there.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_when_all_are_there, "127.0.0.1", 0)
    async with server:
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await deploy(endpoints, "together", JAVASCRIPT, "javascript", env={"MODE": ""}, outbound=[origin])
        outputs = await asyncio.gather(
            *(output_of(endpoints, "together", {"url": origin, "header": "X"}) for _ in range(60))
        )
    assert [output["status"] for output in outputs] == [200] * 60
