"""`faas serve` with --tls-cert: HTTPS, reloads by SIGHUP, shutdown, and the commands as clients."""

import asyncio
import json
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.helpers.certificates import CertificateFiles
from tests.helpers.command_line import Faas
from tests.helpers.server import Server, failing, serving, start_server
from tests.helpers.support import core_wat, eventually

HEALTH_CHECK = Path(__file__).parents[2] / "packaging" / "image" / "health.py"


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles.write(tmp_path)


@pytest.fixture
async def tls_server(database_url: str, files: CertificateFiles) -> AsyncIterator[Server]:
    async with serving("--database-url", database_url, *options(files)) as started:
        yield started


def options(files: CertificateFiles) -> tuple[str, ...]:
    return "--tls-cert", str(files.certificate), "--tls-key", str(files.key)


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


async def certificate_of(server: Server) -> str:
    """Return what a new connection gets."""
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port_of(server)), timeout=20)


async def test_serve_over_tls_prints_its_address_and_commands_verify_its_certificate(
    tls_server: Server, files: CertificateFiles, tmp_path: Path
) -> None:
    assert tls_server.url.startswith("https://127.0.0.1:")
    assert any(f"--url {tls_server.url}" in line for line in tls_server.lines)
    source = tmp_path / "echo.wat"
    source.write_text(core_wat())
    url = f"https://localhost:{port_of(tls_server)}"
    for variable in ("FAAS_CA_FILE", "SSL_CERT_FILE"):
        faas = Faas(None, {variable: str(files.certificate), "FAAS_URL": url})
        await faas("deploy", str(source))
    assert (await faas("invoke", "echo", "--input", '{"n":1}'))[0] == '{"n":1}\n'

    async def refused(trusted: Path | None, code: int) -> str:
        faas = Faas(None, {"FAAS_URL": url, **({"FAAS_CA_FILE": str(trusted)} if trusted else {})})
        return (await faas("list", code=code))[1]

    err = await refused(None, 1)
    assert err.startswith(f"faas: no answer from {url}: [SSL: CERTIFICATE_VERIFY_FAILED]")
    assert err.endswith("if it is self-signed, or its authority is your own, name the file in FAAS_CA_FILE\n")
    assert await refused(files.key, 2) == (
        f"faas: FAAS_CA_FILE='{files.key}': no certificate in PEM in it; accepted is a file of certificates\n"
    )
    assert "No such file or directory" in await refused(tmp_path / "missing", 2)


async def test_sighup_reloads_the_certificate(tls_server: Server, files: CertificateFiles) -> None:
    old = await certificate_of(tls_server)
    async with httpx.AsyncClient(base_url=tls_server.url, verify=files.client_context(), trust_env=False) as http:
        assert (await http.get("/health")).status_code == 200
        new = CertificateFiles.write(files.certificate.parent, key_type="rsa")
        tls_server.process.send_signal(signal.SIGHUP)
        await eventually(lambda: certificate_of(tls_server), lambda found: found != old)
        assert (await http.get("/health")).status_code == 200  # on the connection of before
    new.key.unlink()
    served = await certificate_of(tls_server)
    tls_server.process.send_signal(signal.SIGHUP)

    async def failures() -> list[str]:
        return [event["error"] for event in tls_server.events("certificate.reload_failed")]

    (error,) = await eventually(failures)
    assert error == f"--tls-key {new.key}: No such file or directory"
    assert await certificate_of(tls_server) == served
    assert tls_server.process.returncode is None


async def test_sighup_without_tls_ends_the_server(database_url: str) -> None:
    """As before there was TLS: the terminal of a server in the foreground was closed."""
    # A run of the tests that ignores the signal (nohup) would have the server ignore it.
    default = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    server = await start_server("--database-url", database_url, prefix=(sys.executable, "-c", default))
    assert await server.stop(signal.SIGHUP) == -signal.SIGHUP


async def test_shutdown_waits_neither_for_idle_clients_nor_for_handshakes(
    database_url: str, files: CertificateFiles
) -> None:
    """The idle client keeps its connection in a pool, where it does not see that the server closes it."""
    async with (
        serving("--database-url", database_url, *options(files)) as server,
        httpx.AsyncClient(
            base_url=server.url,
            verify=files.client_context(),
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=None),
        ) as http,
    ):
        assert (await http.get("/health")).status_code == 200
        _, silent = await asyncio.open_connection("127.0.0.1", port_of(server))
        began = time.monotonic()
        assert await server.stop() == 0
        assert time.monotonic() - began < 15  # without any client it takes 1 s; the grace period is 18 s
        silent.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tls-cert", "a.pem"), "faas: --tls-cert needs --tls-key: HTTPS takes a certificate and its private key\n"),
        (("--tls-key", "a.pem"), "faas: --tls-key needs --tls-cert: HTTPS takes a certificate and its private key\n"),
        (("--tls-cert", "a.pem", "--tls-key", "b.pem"), "faas: --tls-cert a.pem: No such file or directory\n"),
    ],
)
async def test_serve_without_usable_files_ends_with_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    assert await failing("serve", "--port", "0", *arguments) == (2, message)


async def test_doctor_warns_of_a_certificate_that_expires_and_asks_the_server_by_https(
    database_url: str, tls_server: Server, files: CertificateFiles, tmp_path: Path
) -> None:
    expired = CertificateFiles.write(_folder(tmp_path), expires=datetime(2026, 2, 3, 4, 5, tzinfo=UTC))
    for given, status, text in (
        (files, "OK", f"{files.certificate} is valid until {files.expires:%Y-%m-%d %H:%M} UTC"),
        (expired, "WARN", f"{expired.certificate} expired on 2026-02-03 04:05 UTC: clients refuse it"),
    ):
        found = await findings("--database-url", database_url, "--port", str(port_of(tls_server)), *options(given))
        assert (found["certificate"]["status"], found["certificate"]["finding"]) == (status, text)
        assert found["port"]["finding"].endswith("UP, role all")
    found = await findings(
        "--database-url",
        database_url,
        "--port",
        "0",
        "--tls-cert",
        str(files.certificate),
        "--tls-key",
        str(expired.key),
        code=1,
    )
    assert found["certificate"]["status"] == "FAIL"


async def test_health_check_of_the_image_asks_by_https(tls_server: Server, files: CertificateFiles) -> None:
    environment = {"FAAS_PORT": str(port_of(tls_server)), "FAAS_TLS_CERT": str(files.certificate)}
    for given, expected in ((environment, 0), ({"FAAS_PORT": environment["FAAS_PORT"]}, 1)):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(HEALTH_CHECK), env=given, stderr=asyncio.subprocess.DEVNULL
        )
        assert await asyncio.wait_for(process.wait(), 60) == expected


async def findings(*arguments: str, code: int = 0) -> dict[str, dict[str, str]]:
    out, _ = await Faas(None)("doctor", "--json", *arguments, code=code)
    return {finding["check"]: finding for finding in json.loads(out)["findings"]}


def _folder(parent: Path) -> Path:
    made = parent / "expired"
    made.mkdir()
    return made
