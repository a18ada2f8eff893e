"""What is in the memory of guests: no secret with hosts while a call runs, and nothing of a call after it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from faas.runtime.instance import Instance
from faas.runtime.kept_instances import KeptInstances
from tests.helpers.echo_server import EchoServer, serve_echo
from tests.helpers.instance_watch import InstanceWatch
from tests.helpers.support import Platform

VISIBLE, HIDDEN, MARK = "visible-8fj2Kq0x1Z", 'hidden-"é\\7/W3vB~nM', "mark-5tG9pLz0"
WORKER = """
export default {
  async fetch(request, env) {
    const given = await request.text();
    const response = await fetch(env.TARGET, { method: "POST", body: given, headers: {
      authorization: `Bearer ${env.HIDDEN}`, "x-visible": env.VISIBLE } });
    const echoed = await response.text();
    if (new URL(request.url).pathname === "/fail") throw new Error(echoed);
    return new Response(`${given} ${env.VISIBLE} ${env.HIDDEN} ${echoed}`);
  },
};
"""
PYTHON = """
import os
from faas import http

def lambda_handler(event, context):
    given = event["body"]
    headers = {"authorization": "Bearer " + os.environ["HIDDEN"], "x-visible": os.environ["VISIBLE"]}
    echoed = http.post(os.environ["TARGET"], data=given.encode(), headers=headers).text()
    if event["rawPath"] == "/fail":
        raise ValueError(echoed)
    return {"statusCode": 200, "body": f"{given} {os.environ['VISIBLE']} {os.environ['HIDDEN']} {echoed}"}
"""


class MemoryScan:
    """Looks at the whole memory of each instance at the end of its call, before it is restored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.with_hidden = 0
        self.with_visible = 0
        release = KeptInstances.release

        def scan_and_release(kept: KeptInstances, module: Any, instance: Instance) -> None:
            memory = instance.read(0, instance.memory_size) or b""
            self.calls += 1
            self.with_visible += VISIBLE.encode() in memory
            self.with_hidden += any(form in memory for form in forms(HIDDEN))
            release(kept, module, instance)

        monkeypatch.setattr(KeptInstances, "release", scan_and_release)


def forms(value: str) -> list[bytes]:
    """The encodings in which an engine keeps a text, and a document of JSON."""
    texts = (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    return [text.encode(code) for text in texts for code in ("utf-8", "utf-16-le", "utf-32-le")] + [
        value.encode("latin-1")
    ]


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with serve_echo() as server:
        yield server


@pytest.mark.parametrize(("language", "source"), [("javascript", WORKER), ("python", PYTHON)])
async def test_memory_has_no_hidden_secret_and_nothing_of_the_call_before(
    endpoints: Platform, echo: EchoServer, monkeypatch: pytest.MonkeyPatch, language: str, source: str
) -> None:
    for name, fields in (("VISIBLE", {"value": VISIBLE}), ("HIDDEN", {"value": HIDDEN, "hosts": [echo.origin]})):
        assert (await endpoints.http.put(f"/secrets/{name}", json={**fields, "functions": ["*"]})).is_success
    settings = {"env": {"TARGET": echo.origin}, "secrets": ["VISIBLE", "HIDDEN"], "outbound": [echo.origin]}
    await endpoints.register(f"memory-{language}", source, language, settings=settings)
    function = await endpoints.settled(f"memory-{language}", timeout=120)
    assert function["status"] == "READY", function["compileError"]
    scan = MemoryScan(monkeypatch)
    watch = InstanceWatch(endpoints.runtime)
    texts: list[str] = []
    try:
        for number in range(12):
            path = "fail" if number % 3 == 2 else ""
            mark = f"{MARK}-{number}"
            headers = {"content-type": "text/plain"}
            response = await endpoints.http.post(f"/f/memory-{language}/{path}", content=mark, headers=headers)
            assert response.status_code == (500 if path else 200), response.text
            assert path or response.text.startswith(f"{mark} {VISIBLE} faas-secret-HIDDEN-")
            record = await endpoints.http.get(f"/executions/{response.headers['faas-execution-id']}")
            texts += [response.text, record.text]
    finally:
        watch.close()
    assert echo.last_headers["authorization"].encode("latin-1").decode() == f"Bearer {HIDDEN}"
    assert (scan.calls, scan.with_visible, scan.with_hidden) == (12, 12, 0)
    assert watch.restored >= 4
    assert not watch.different
    assert not any(shown in text for shown in (HIDDEN, json.dumps(HIDDEN)[1:-1]) for text in texts)
