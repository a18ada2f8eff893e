"""The address to listen on: free, taken by something else, and by servers that are UP and DOWN."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from faas.api.schemas import Health
from faas.doctor.port import check_address
from tests.helpers.support import free_port

UP = Health(
    status="UP",
    version="9.9",
    role="all",
    database="UP",
    consumers={"listener": "UP"},
    secrets="OFF",
    toolchains={"wat": "UP"},
)


@contextmanager
def answering(body: bytes, status: int = 200, *, returns_id: bool = False) -> Iterator[int]:
    """A server that answers everything so, with the id of the request as faas has it if it `returns_id`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if returns_id:
                self.send_header("X-Request-Id", self.headers["X-Request-Id"])
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_port_that_is_free_is_ok_and_stays_free() -> None:
    port = free_port()
    found = check_address("127.0.0.1", port)
    assert (found.status, found.finding) == ("OK", f"127.0.0.1:{port} is free")
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert check_address("127.0.0.1", 0).finding == "127.0.0.1:0: the system chooses a free port"


def test_port_of_another_program_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:  # it accepts, and never answers
        found = check_address("127.0.0.1", other.getsockname()[1])
    assert found.status == "FAIL"
    assert "taken by another program" in found.finding
    assert "--port" in found.action


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"\xff\xfe", b'{"status": "UP"}', b""])
def test_port_of_another_http_server_fails(body: bytes) -> None:
    with answering(body) as port:
        assert check_address("127.0.0.1", port).status == "FAIL"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", str(ipaddress.IPv4Address(0))])  # 0.0.0.0 includes it
def test_port_of_a_faas_server_tells_its_health(host: str) -> None:
    with answering(msgspec.json.encode(UP)) as port:
        found = check_address(host, port)
        assert (found.status, found.finding) == ("OK", f"a faas 9.9 serves {host}:{port}: UP, role all")


def test_port_of_a_faas_server_that_is_down_fails() -> None:
    down = msgspec.structs.replace(UP, status="DOWN", database="DOWN: ConnectionRefusedError")
    with answering(msgspec.json.encode(down), status=503) as port:
        found = check_address("127.0.0.1", port)
    assert found.status == "FAIL"
    assert found.finding.endswith("DOWN: database DOWN: ConnectionRefusedError")


@pytest.mark.parametrize(("status", "code", "found"), [("UP", 200, "OK"), ("DOWN", 503, "FAIL")])
def test_port_of_a_faas_server_that_asks_for_tokens_tells_its_status(status: str, code: int, found: str) -> None:
    with answering(b'{"status":"%s"}' % status.encode(), code, returns_id=True) as port:
        finding = check_address("127.0.0.1", port)
        told = (finding.status, finding.finding)
        assert told == (found, f"a faas server that asks for tokens serves 127.0.0.1:{port}: {status}")
    with answering(msgspec.json.encode(UP), returns_id=True) as port:
        assert check_address("127.0.0.1", port).finding.endswith("UP, role all")


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("no-such-host.invalid", "'no-such-host.invalid': "),
        ("192.0.2.1", "192.0.2.1:8080: Cannot assign requested address"),
        ("x" * 300, "not a host name"),
    ],
)
def test_host_that_is_not_of_this_machine_fails(host: str, text: str) -> None:
    found = check_address(host, 8080)
    assert found.status == "FAIL"
    assert text in found.finding
    assert "correct --host" in found.action
