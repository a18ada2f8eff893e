"""`faas token`: the first token on a database, with and without its server, and others over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from faas.access import token_text
from faas.database.migrations import files, migrate
from faas.database.postgres.server import EmbeddedPostgres
from tests.helpers.command_line import NO_VALUE, Faas
from tests.helpers.server import Server, serving
from tests.helpers.support import eventually

ECHO = (Path(__file__).parents[2] / "examples" / "echo.wat").read_text()
ASKS_WITHIN_SECONDS = 2.0


@pytest.fixture
async def own_server(database_url: str) -> AsyncIterator[Server]:
    """A server of one test: tokens change what others may do."""
    async with serving("--database-url", database_url) as started:
        yield started


async def status_of(server: Server, token: str = "") -> int:
    """The status of a request with this token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as http:
        return (await http.get("/functions", headers=headers)).status_code


async def seconds_until(server: Server, status: int, token: str = "") -> float:
    """The seconds until a request with this token is answered with `status`."""
    began = time.monotonic()
    while await status_of(server, token) != status:
        assert time.monotonic() < began + 60
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_token_create_on_a_data_directory_that_is_new(data_dir: Path) -> None:
    faas = Faas(None, {"FAAS_DATA_DIR": str(data_dir)})
    _, err = await faas("token", "list", code=2)
    assert err.startswith(f"faas: there is no database in {data_dir}: ")
    assert not data_dir.exists()
    out, err = await faas("token", "create", "admin", "--scope", "admin")
    text = token_text.parse(out.removesuffix("\n"))
    assert text
    assert err.splitlines() == [
        f"made the token admin in {data_dir}, where there was no database yet",
        f"  id         {text.id}",
        "  scopes     admin",
        "  functions  all",
        "  expires    never",
        "It is shown this once. Pass it in FAAS_TOKEN, or put it into ~/.config/faas/token (chmod 600).",
        "It is the first one: servers ask for tokens from now on, unless they run with --auth off.",
    ]
    token = out.strip()
    async with serving("--data-dir", str(data_dir)) as server:
        assert await status_of(server) == 401
        assert await status_of(server, token) == 200
        assert await Faas(server, {"FAAS_TOKEN": token})("list") == ("", "no functions yet: faas deploy FILE\n")
        _, err = await Faas(server)("list", code=1)
        assert err.startswith(
            f"faas: {server.url} asks for a token. FAAS_TOKEN is not set, and there is no /nonexistent/"
        )
        entries = json.loads((await Faas(server, {"FAAS_TOKEN": token})("audit", "--json"))[0])
        assert [(entry["via"], entry["tokenName"], entry["action"], entry["subject"]) for entry in entries] == [
            ("database", None, "token.created", "admin")
        ]
    assert "  access     by token" in server.lines


async def test_token_of_a_running_servers_data_directory(data_dir: Path) -> None:
    async with serving("--data-dir", str(data_dir)) as server:
        assert await status_of(server) == 200
        # An option goes before FAAS_URL.
        faas = Faas(server)
        out, err = await faas("token", "create", "admin", "--scope", "admin", "--data-dir", str(data_dir))
        assert f"made the token admin in {data_dir}" in err
        admin = out.strip()
        assert await status_of(server, admin) == 200
        assert await seconds_until(server, 401) < ASKS_WITHIN_SECONDS
        out, err = await faas("token", "list", "--data-dir", str(data_dir))
        assert "admin" in out
        assert (await faas("token", "revoke", "admin", "--data-dir", str(data_dir)))[0] == (
            "admin revoked; servers refuse it within 2 s\n"
        )
        assert await seconds_until(server, 401, admin) < ASKS_WITHIN_SECONDS
    assert "revoked" in (await Faas(None)("token", "list", "--data-dir", str(data_dir)))[0]
    (line,) = (line for line in server.lines if line.startswith("  access "))
    assert line.startswith("  access     open to this machine, until there is a token: ")
    assert line.endswith(f"/faas token create NAME --scope admin --data-dir {data_dir}")


async def test_serve_says_how_to_make_a_token_where_one_is_required(data_dir: Path) -> None:
    async with serving("--data-dir", str(data_dir), "--auth", "required") as server:
        assert await status_of(server) == 401
    (line,) = (line for line in server.lines if line.startswith("  access "))
    assert line.startswith("  access     by token, and there is none: ")
    assert line.endswith(f"/faas token create NAME --scope admin --data-dir {data_dir}")


async def test_token_over_http(own_server: Server, database_url: str) -> None:
    operator = Faas(None, {"FAAS_DATABASE_URL": database_url})
    admin = (await operator("token", "create", "admin", "--scope", "admin"))[0].strip()
    await seconds_until(own_server, 401)
    faas = Faas(own_server, {"FAAS_TOKEN": admin})
    out, err = await faas(
        "token", "create", "shop", "--scope", "invoke", "--scope", "read", "--function", "orders-*", "--function", "mail",
        "--per-second", "5", "--expires", "90d",
    )  # fmt: skip
    shop = out.strip()
    lines = err.splitlines()
    assert lines[0] == f"made the token shop on {own_server.url}"
    assert lines[2:5] == [
        "  scopes     read, invoke",
        "  functions  orders-* mail",
        "  rate       5 requests per second",
    ]
    assert lines[5].endswith(" UTC (in 89 d)")
    assert "first" not in err
    made = json.loads((await faas("token", "create", "other", "--scope", "deploy", "--json"))[0])
    assert token_text.parse(made["token"])
    assert await status_of(own_server, shop) == 200
    out, _ = await faas("token", "list")
    rows = [line.split() for line in out.splitlines() if line.split()[0] in {"admin", "shop", "other"}]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("admin", "active", "admin"),
        ("other", "active", "deploy"),
        ("shop", "active", "read,invoke"),
    ]
    assert rows[2][-2:] == ["orders-*", "mail"]

    async def lists() -> list[list[dict[str, object]]]:
        return [json.loads((await command("token", "list", "--json"))[0]) for command in (faas, operator)]

    # The server writes lastUsedAt some time after the request, which may be between the two.
    listed, _ = await eventually(lists, lambda both: both[0] == both[1])
    assert [(token["name"], token["createdBy"]) for token in listed] == [
        ("admin", None), ("other", "admin"), ("shop", "admin"),
    ]  # fmt: skip
    assert (await faas("token", "revoke", made["id"]))[0] == "other revoked; servers refuse it within 2 s\n"
    assert (await faas("token", "revoke", "other"))[0] == "other was revoked before\n"
    assert await seconds_until(own_server, 401, made["token"]) < ASKS_WITHIN_SECONDS
    assert await faas("token", "revoke", "unknown", code=1) == ("", "faas: no token is called 'unknown'\n")
    out, err = await faas("token", "create", "other", "--scope", "deploy", code=1)
    assert "there is, or was, a token named 'other'" in err
    _, err = await Faas(own_server, {"FAAS_TOKEN": shop})("token", "list", code=1)
    assert err == "faas: this needs a token with the scope admin; the one in FAAS_TOKEN does not allow it\n"
    _, err = await Faas(own_server, {"FAAS_TOKEN": made["token"]})("list", code=1)
    assert "does not admit the token in FAAS_TOKEN: it is unknown, revoked or expired" in err


async def test_token_create_migrates_the_database_of_a_url(empty_database: str) -> None:
    faas = Faas(None)
    for command in (("list",), ("revoke", "x")):
        _, err = await faas("token", *command, "--database-url", empty_database, code=2)
        assert err == "faas: the database is not migrated to this version of faas: run `faas migrate` first\n"
    out, err = await faas("token", "create", "admin", "--scope", "admin", "--database-url", empty_database)
    assert token_text.parse(out.strip())
    assert err.startswith("made the token admin in the database of --database-url\n")
    async with serving("--database-url", empty_database) as server:
        assert await status_of(server, out.strip()) == 200


async def test_token_of_a_data_directory_goes_before_the_variable_of_a_url(data_dir: Path) -> None:
    faas = Faas(None, {"FAAS_DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    await faas("token", "create", "admin", "--scope", "admin", "--data-dir", str(data_dir))
    assert "admin" in (await faas("token", "list", "--data-dir", str(data_dir)))[0]
    _, err = await faas("token", "list", code=2)
    assert err.startswith("faas: cannot connect to the database at 127.0.0.1:1")


async def test_token_refuses_a_running_postgres_of_another_version(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    await postgres.start()
    try:
        admin = await asyncpg.connect(postgres.url, database="postgres")
        await admin.execute("CREATE DATABASE faas")
        await admin.close()
        connection = await asyncpg.connect(postgres.url)
        await migrate(connection, through=len(files()) - 1)
        faas = Faas(None, {"FAAS_DATA_DIR": str(data_dir)})
        _, err = await faas("token", "create", "admin", "--scope", "admin", code=2)
        assert err == (
            f"faas: another faas uses {data_dir} and has not migrated it to this version; missing: {files()[-1].stem}. "
            "Use the faas of that process, or stop that process first\n"
        )
        assert await connection.fetchval("SELECT count(*) FROM schema_migrations") == len(files()) - 1
        await migrate(connection)
        await connection.execute("INSERT INTO schema_migrations (version, name, sha256) VALUES (999, '0999_new', '')")
        _, err = await faas("token", "create", "admin", "--scope", "admin", code=2)
        assert "is at 0999_new, newer than this faas knows" in err
        await connection.close()
    finally:
        await postgres.stop()


async def test_token_options_are_checked_before_anything_is_asked(data_dir: Path) -> None:
    faas = Faas(None, {"FAAS_DATA_DIR": str(data_dir), "FAAS_URL": "http://127.0.0.1:1"})
    expected = {
        ("a b", "--scope", "read"): "NAME: 'a b' is not the name of a token: ",
        ("x", "--scope", "all"): "Error: Invalid value for '--scope': 'all' is not one of 'read', 'invoke', ",
        ("x",): "Error: Missing option '--scope'.",
        (
            "x",
            "--scope",
            "read",
            "--expires",
            "90",
        ): "--expires: '90' is not accepted; accepted is a duration with its unit",
        ("x", "--scope", "read", "--expires", "11y"): "--expires: '11y' is not accepted; ",
        ("x", "--scope", "read", "--per-second", "0"): "--per-second: 0 is not accepted; accepted are 0.001 to ",
        ("x", "--scope", "read", "--function", "ä"): "--function: 'ä' is not a pattern of names: ",
        ("x", "--scope", "admin", "--function", "a"): "--function: a token with the scope admin reaches all functions",
        ("x", "--scope", "read", "--url", "http://127.0.0.1:1", "--data-dir", "/x"): "--url and --data-dir: give the ",
    }
    for arguments, message in expected.items():
        out, err = await faas("token", "create", *arguments, code=2)
        assert (out, message in err) == ("", True), (arguments, err)
    assert not data_dir.exists()


async def test_token_list_without_tokens_says_how_to_make_one(database_url: str) -> None:
    out, err = await Faas(None, {"FAAS_DATABASE_URL": database_url})("token", "list")
    assert (out, err) == ("", "no tokens yet: faas token create NAME --scope admin\n")


async def test_token_is_named_by_revisions_executions_and_audit(
    own_server: Server, database_url: str, tmp_path: Path
) -> None:
    source = tmp_path / "one.wat"
    source.write_text(ECHO)
    before = Faas(own_server)
    await before("deploy", str(source))
    await before("invoke", "one")
    assert " BY " not in (await before("executions", "one"))[0] + (await before("revisions", "one"))[0]
    operator = Faas(None, {"FAAS_DATABASE_URL": database_url})
    token = (await operator("token", "create", "ci", "--scope", "admin"))[0].strip()
    await seconds_until(own_server, 401)
    faas = Faas(own_server, {"FAAS_TOKEN": token})
    source.write_text(ECHO + "\n;; changed\n")
    await faas("deploy", str(source))
    await faas("invoke", "one")
    executions = (await faas("executions", "one"))[0].splitlines()
    assert executions[0].split()[-2:] == ["BY", "ERROR"]
    assert [line.split()[-1] for line in executions[2:]] == ["ci", NO_VALUE]
    revisions = (await faas("revisions", "one"))[0]
    assert [[*line.split()[:3], "ci" in line.split()] for line in revisions.splitlines()[2:]] == [
        ["2", "READY", "live", True],
        ["1", "READY", NO_VALUE, False],
    ]
    audit = (await faas("audit"))[0].splitlines()
    assert audit[0].split() == ["TIME", "BY", "ACTION", "SUBJECT"]
    assert [line.split()[2:] for line in audit[2:]] == [
        ["ci", "function.deployed", "one@2"],
        ["(database)", "token.created", "ci"],
        [NO_VALUE, "function.created", "one@1"],
    ]
    assert len((await faas("audit", "--limit", "1"))[0].splitlines()) == 3
    _, err = await before("audit", code=1)
    assert "asks for a token" in err
