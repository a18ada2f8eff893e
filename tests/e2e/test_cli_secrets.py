"""`faas secret`: set from standard input or a terminal, listed without values, deleted."""

import asyncio
import json
import os
import pty
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from faas.database.pool import Pool
from tests.helpers.command_line import NO_VALUE, Faas
from tests.helpers.secret_process import SecretProcess, insert_naming_function
from tests.helpers.server import COMMAND, COVERAGE, Server, failing, serving
from tests.helpers.support import eventually


@pytest.fixture
def secret_data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def secret_server(database_url: str, secret_data_dir: Path) -> AsyncIterator[Server]:
    async with serving("--database-url", database_url, "--data-dir", str(secret_data_dir)) as started:
        yield started


@pytest.fixture
def process(pool: Pool, secret_data_dir: Path) -> SecretProcess:
    """What the server opens of the secrets."""
    return SecretProcess.of(pool, secret_data_dir / "secret.key")


async def test_secret_is_set_listed_and_deleted(
    secret_server: Server, process: SecretProcess, secret_data_dir: Path, pool: Pool
) -> None:
    faas = Faas(secret_server)
    assert await faas("secret", "list") == ("", "no secrets yet: faas secret set NAME\n")
    assert not (secret_data_dir / "secret.key").exists()
    out, err = await faas("secret", "set", "A", stdin=b"one\n")
    assert (out.splitlines(), err) == (
        [
            "A set",
            "  hosts      functions read it",
            "  functions  none",
            "No function may name it yet: allow some with --function PATTERN.",
        ],
        "",
    )
    assert (secret_data_dir / "secret.key").stat().st_mode & 0o777 == 0o600
    out, _ = await faas(
        "secret", "set", "A", "--host", "https://A.example", "--function", "orders-*", "--function", "f", stdin=b"two"
    )
    assert out.splitlines() == [
        "A replaced; executions have the new value within a second",
        "  hosts      https://a.example",
        "  functions  orders-* f",
    ]
    assert await process.value("A") == "two"
    out, _ = await faas("secret", "set", "A", "--json", stdin=b"three")
    kept = json.loads(out)
    assert (kept["hosts"], kept["functions"]) == (["https://a.example"], ["orders-*", "f"])
    out, _ = await faas("secret", "list")
    assert out.splitlines()[0].split() == ["NAME", "CHANGED", "BY", "KEY", "HOSTS", "FUNCTIONS"]
    row = out.splitlines()[2].split()
    assert (row[0], row[-5:]) == ("A", [NO_VALUE, kept["keyId"], "https://a.example", "orders-*", "f"])
    assert json.loads((await faas("secret", "list", "--json"))[0]) == [kept]
    out, _ = await faas("secret", "set", "A", "--no-host", "--no-function", "--json", stdin=b"four")
    assert (json.loads(out)["hosts"], json.loads(out)["functions"]) == (None, [])
    audit = (await faas("audit"))[0].splitlines()
    assert [line.split()[2:] for line in audit[2:]] == [[NO_VALUE, "secret.set", "A"]] * 4
    function_id = await insert_naming_function(pool, "orders", "A")
    _, err = await faas("secret", "delete", "A", code=1)
    assert err.startswith("faas: revision 1 of the function 'orders' names the secret 'A'; ")
    await pool.execute("DELETE FROM functions WHERE id = $1", function_id)
    assert await faas("secret", "delete", "A") == ("A deleted\n", "")
    assert await faas("secret", "delete", "A", code=1) == ("", "faas: no secret is called 'A'\n")


@pytest.mark.parametrize(
    ("stdin", "value"),
    [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b"\nx ", "\nx "), ("é\n".encode(), "é")],
)
async def test_secret_set_removes_one_newline_at_the_end(
    secret_server: Server, process: SecretProcess, stdin: bytes, value: str
) -> None:
    await Faas(secret_server)("secret", "set", "A", "--function", "*", stdin=stdin)
    assert await process.value("A") == value


async def test_secret_set_refuses_before_anything_is_stored(secret_server: Server, pool: Pool) -> None:
    faas = Faas(secret_server)
    expected: dict[tuple[str, ...], tuple[bytes, str]] = {
        ("1A",): (b"top", "NAME: '1A' is not the name of a secret: "),
        ("A",): (b"\n", "the value: it is empty; accepted are 1 to 65536 bytes"),
        ("B",): (b"top\xff", "the value: invalid UTF-8 at byte 3"),
        ("C",): (b"top" * 30_000, "the value: it has 90000 bytes; accepted are 1 to 65536 bytes"),
        ("D", "--host", "a.example"): (b"top", "--host: 'a.example' is not accepted; accepted is an origin such as"),
        ("E", "--function", "a b"): (b"top", "--function: 'a b' is not a pattern of names"),
        ("F", "--host", "https://a", "--no-host"): (b"top", "--no-host and --no-function exclude --host and"),
        ("G", "top"): (b"", "Got unexpected extra argument"),
    }
    for arguments, (stdin, message) in expected.items():
        out, err = await faas("secret", "set", *arguments, stdin=stdin, code=2)
        assert (out, message in err) == ("", True), (arguments, err)
    assert await pool.fetchval("SELECT count(*) FROM secrets") == 0


async def at_terminal(server: Server, *arguments: str, typed: bytes) -> tuple[int, str]:
    """Run `faas …` on a terminal on which that is typed; return the exit code and what the terminal shows."""
    terminal, of_process = pty.openpty()
    environment = {"PATH": "", "HOME": "/nonexistent", "LANG": "C.UTF-8", "FAAS_URL": server.url, **COVERAGE}
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, env=environment, stdin=of_process, stdout=of_process, stderr=of_process,
        start_new_session=True,
    )  # fmt: skip
    os.close(of_process)
    os.set_blocking(terminal, False)
    shown = b""

    async def read_more() -> bytes:
        nonlocal shown
        with suppress(OSError):  # nothing yet, or the process has ended
            shown += os.read(terminal, 65536)
        return shown

    for number, line in enumerate(typed.splitlines(keepends=True), start=1):
        await eventually(read_more, lambda text, number=number: text.count(b": ") >= number)  # type: ignore[misc]
        os.write(terminal, line)
    code = await asyncio.wait_for(process.wait(), 60)
    await read_more()
    os.close(terminal)
    return code, shown.decode()


async def test_secret_set_asks_twice_on_a_terminal_and_shows_nothing(
    secret_server: Server, process: SecretProcess
) -> None:
    code, shown = await at_terminal(secret_server, "secret", "set", "A", "--function", "*", typed=b"hidden\nhidden\n")
    assert code == 0, shown
    assert shown.replace("\r", "").startswith("Value: \nThe same again: \nA set\n")
    assert "hidden" not in shown
    assert await process.value("A") == "hidden"


async def test_backup_says_that_the_key_is_apart_and_restore_which_one_is_needed(
    secret_server: Server, process: SecretProcess, database_url: str, empty_database: str, secret_data_dir: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    faas, archive, elsewhere = Faas(secret_server), tmp_path / "backup.zip", tmp_path / "elsewhere"
    place = ("--database-url", database_url, "--data-dir", str(secret_data_dir))
    _, err = await faas("backup", str(archive), *place)
    assert err == "", "there are no secrets"
    key = (await process.set("A", "one")).key_id
    _, err = await faas("backup", str(archive), "--force", *place)
    assert err == (
        f"the 1 secret in it can be opened only with the key {key}, which the backup does not hold: keep the file "
        f"{secret_data_dir}/secret.key apart\n"
    )
    place = ("--database-url", empty_database, "--data-dir", str(elsewhere))
    out, _ = await faas("restore", str(archive), *place)
    assert f"\n1 secret: put the key file of the key {key} at {elsewhere}/secret.key; the backup does not " in out
    async with serving(*place) as server:
        _, err = await Faas(server)("secret", "set", "B", stdin=b"x", code=1)
        assert f"sealed under the key {key}, which this server does not have" in err
        (line,) = server.events("secrets.not_opened")
        assert line["reason"] == f"secrets are sealed: 1 under the key {key}; FAAS_SECRET_KEY_FILE is not there"
        elsewhere.mkdir(exist_ok=True)
        (secret_data_dir / "secret.key").rename(elsewhere / "secret.key")
        await Faas(server)("secret", "set", "B", stdin=b"x")
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT array_agg(key_id) FROM secrets") == [key, key]
    await connection.close()


async def test_restore_into_a_data_directory_accepts_the_key_that_was_put_there_before(
    secret_server: Server, process: SecretProcess, database_url: str, secret_data_dir: Path, data_dir: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    secret = await process.set("A", "one")
    await Faas(None)("backup", str(tmp_path / "backup.zip"), "--database-url", database_url)
    data_dir.mkdir()
    (data_dir / "secret.key").touch(mode=0o600)
    (data_dir / "secret.key").write_bytes((secret_data_dir / "secret.key").read_bytes())
    await Faas(None)("restore", str(tmp_path / "backup.zip"), "--data-dir", str(data_dir))
    async with serving("--data-dir", str(data_dir)) as server:
        (listed,) = json.loads((await Faas(server)("secret", "list", "--json"))[0])
        assert listed["keyId"] == secret.key_id
        await Faas(server)("secret", "set", "B", stdin=b"two")
        code, err = await failing("doctor", "--data-dir", str(data_dir))
        assert code in {0, 1}, err
        out, _ = await Faas(None, {"FAAS_DATA_DIR": str(data_dir)})("doctor", "--json", code=code)
        findings = {finding["check"]: finding for finding in json.loads(out)["findings"]}
        assert findings["secret-key"]["finding"].startswith(f"{data_dir}/secret.key has the key {secret.key_id}")
        assert findings["secrets"]["finding"] == "2, all sealed under the key of this server"
