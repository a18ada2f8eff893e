"""Fixtures of services in this process that serve a real port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faas.server.certificate import ServerCertificate
from faas.settings import Settings
from tests.helpers.certificates import CertificateFiles
from tests.helpers.connections import Connection, Port
from tests.helpers.ports import serving_port, settings_of_a_port


@pytest.fixture
def port_settings(database_url: str, tmp_path: Path) -> Settings:
    return settings_of_a_port(database_url, tmp_path)


@pytest.fixture
async def port(port_settings: Settings) -> AsyncIterator[Port]:
    async with serving_port(port_settings) as found:
        yield found


@pytest.fixture
async def patient_port(port_settings: Settings) -> AsyncIterator[Port]:
    """Serve a port whose timers all take longer than a client of the tests waits."""
    async with serving_port(port_settings, keep_alive_seconds=60) as found:
        yield found


@pytest.fixture
def certificate_files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles.write(tmp_path)


@pytest.fixture
def server_certificate(certificate_files: CertificateFiles) -> ServerCertificate:
    return ServerCertificate(certificate_files.certificate, certificate_files.key)


@pytest.fixture
async def tls_port(
    port_settings: Settings, certificate_files: CertificateFiles, server_certificate: ServerCertificate
) -> AsyncIterator[Port]:
    async with serving_port(port_settings, server_certificate.context, certificate_files.client_context()) as found:
        yield found


@pytest.fixture
async def connection(port: Port) -> AsyncIterator[Connection]:
    opened = await port.connect()
    yield opened
    await opened.close()
