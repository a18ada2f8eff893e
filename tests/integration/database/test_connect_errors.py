"""Connections that fail: the message at start and that of `faas doctor` have the cause."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from faas.database.pool import open_pool
from faas.doctor.database import inspect
from faas.errors import ConfigurationError
from faas.settings import Settings
from tests.helpers.postgres import ordinary_postgres
from tests.helpers.support import free_port, replaced_database


async def messages(url: str) -> tuple[str, str]:
    with pytest.raises(ConfigurationError) as refused:
        async with open_pool(url, 1):
            pass
    (finding,) = await inspect(url, "here", Settings(database_url=url))
    assert (finding.status, bool(finding.action)) == ("FAIL", True)
    return str(refused.value), finding.finding


async def test_connect_error_names_the_missing_root_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for mode in ("verify-full", "verify-ca"):
        for text in await messages(f"postgresql://app:pw@127.0.0.1:{free_port()}/faas?sslmode={mode}"):
            assert f'root certificate file "{tmp_path}/.postgresql/root.crt" does not exist' in text
            assert "give sslrootcert=FILE, or sslrootcert=system" in text
            assert "malformed" not in text


async def test_connect_error_names_the_place_and_the_cause(server_url: str, tmp_path: Path) -> None:
    port = free_port()
    refused, _ = await messages(f"postgresql://app@127.0.0.1:{port}/faas")
    assert f"cannot connect to the database at 127.0.0.1:{port}: " in refused
    assert "Connect call failed" in refused
    for text in await messages(f"postgresql:///faas?host={tmp_path}/missing"):
        assert "No such file or directory" in text
    for text in await messages("postgresql://app:pw@no-such-host.invalid/faas"):
        assert "the name of the host cannot be resolved" in text
    for text in await messages(f"postgresql://{'a' * 64}.example/faas"):
        assert "the name of the host is not valid" in text
    for text in await messages(replaced_database(server_url, "no_such_database")):
        assert '"no_such_database" does not exist' in text
    for text in await messages(replaced_database(server_url, "postgres").replace("postgresql:", "mysql:")):
        assert "it begins with mysql://" in text


async def test_connect_error_of_a_server_that_does_not_answer_in_the_time_of_the_url() -> None:
    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    url = f"postgresql://app@127.0.0.1:{server.sockets[0].getsockname()[1]}/faas?connect_timeout=1"
    async with asyncio.timeout(4):
        with pytest.raises(ConfigurationError, match="no answer in time"):
            async with open_pool(url, 1):
                pass
    server.close()
    for writer in writers:
        writer.close()


async def test_connect_parameters_reach_a_server() -> None:
    """Each of these was refused, or became a setting of the server."""
    async with ordinary_postgres() as postgres:
        port = urlsplit(postgres.url).port
        closed = free_port()
        for url in (
            f"{postgres.url}?connect_timeout=10&channel_binding=prefer&gssencmode=prefer&keepalives_idle=30",
            f"{postgres.url}?sslmode=prefer&target_session_attrs=primary&client_encoding=UTF8",
            f"postgresql://postgres@127.0.0.1:{closed},127.0.0.1:{port}/faas?target_session_attrs=read-write",
            f"postgresql://postgres@/faas?host=127.0.0.1&port={port}&application_name=orders",
        ):
            async with open_pool(url, 1) as pool:
                assert await pool.fetchval("SELECT 1") == 1
                name = "orders" if "orders" in url else "faas"
                assert await pool.fetchval("SHOW application_name") == name
        with pytest.raises(ConfigurationError, match="rejected SSL upgrade"):
            async with open_pool(f"{postgres.url}?sslrootcert=system", 1):
                pass
        connection = await asyncpg.connect(postgres.url)
        await connection.execute("CREATE ROLE other LOGIN CONNECTION LIMIT 0")
        await connection.close()
        with pytest.raises(ConfigurationError, match="too many connections for role"):
            async with open_pool(postgres.url.replace("postgres@", "other@"), 1):
                pass
