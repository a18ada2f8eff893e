"""A secret that was set, searched for everywhere where it must not be."""

import base64
import json
import zipfile
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx

from faas.database.pool import Pool
from tests.helpers.command_line import Faas
from tests.helpers.secret_process import insert_naming_function
from tests.helpers.server import serving

VALUE = "Qz7!unmistakable/secret+value~é9"


def forms(value: str) -> dict[str, bytes]:
    """The bytes by which the value could be recognized."""
    raw = value.encode()
    found = {
        "text": raw,
        "UTF-16": value.encode("utf-16-le"),
        "hex": raw.hex().encode(),
        "upper hex": raw.hex().upper().encode(),
        "percent": quote(value, safe="").encode(),
        "JSON": json.dumps(value)[1:-1].encode(),
        "repr": repr(raw)[2:-1].encode(),
        "reversed": raw[::-1],
    }
    for shift in range(3):  # of the bytes before it in what is encoded
        encoded = base64.b64encode(b"\0" * shift + raw)
        found[f"base64 {shift}"] = encoded[4 if shift else 0 : len(encoded) - 4]
        found[f"base64 for URLs {shift}"] = found[f"base64 {shift}"].replace(b"+", b"-").replace(b"/", b"_")
    return found


def assert_absent(place: str, content: bytes) -> None:
    for form, searched in forms(VALUE).items():
        assert searched not in content, f"the value is in {place} as {form}"


async def rows_of_all_tables(url: str) -> dict[str, bytes]:
    """Every row of every table of the database, as text (bytea as hex) and in the binary format of COPY."""
    connection = await asyncpg.connect(url)
    found = {}
    tables = await connection.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    for (name,) in tables:
        rows = await connection.fetch(f"SELECT t::text FROM {name} AS t")
        chunks: list[bytes] = []

        async def keep(chunk: bytes, chunks: list[bytes] = chunks) -> None:
            chunks.append(chunk)

        await connection.copy_from_query(f"SELECT * FROM {name}", output=keep, format="binary")
        found[name] = "\n".join(row[0] for row in rows).encode() + b"".join(chunks)
    statements = await connection.fetch("SELECT query FROM pg_stat_activity")
    found["pg_stat_activity"] = "\n".join(row[0] or "" for row in statements).encode()
    await connection.close()
    return found


def test_forms_finds_a_value_that_is_there() -> None:
    for content in (f"x{VALUE}y".encode(), base64.b64encode(f"ab{VALUE}cd".encode()), VALUE.encode().hex().encode()):
        assert any(searched in content for searched in forms(VALUE).values())


async def test_value_of_a_secret_is_nowhere(database_url: str, pool: Pool, tmp_path: Path) -> None:
    data_dir, archive = tmp_path / "data", tmp_path / "backup.zip"
    answers: list[bytes] = []
    arguments = ("--database-url", database_url, "--data-dir", str(data_dir), "--log-level", "debug")
    async with serving(*arguments, "--log-format", "json") as server:
        faas = Faas(server)
        out, err = await faas("secret", "set", "KEY", "--function", "*", stdin=f"{VALUE}\n".encode())
        answers += [out.encode(), err.encode()]
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as http:

            async def ask(method: str, path: str, content: bytes | None = None) -> int:
                headers = {} if content is None else {"Content-Type": "application/json"}
                response = await http.request(method, path, content=content, headers=headers)
                answers.append(str(response.headers).encode() + response.content)
                return response.status_code

            encoded = json.dumps(VALUE).encode()
            assert await ask("PUT", "/secrets/KEY", b'{"value": ' + encoded + b', "functions": ["*"]}') == 200
            assert (
                await ask("PUT", "/secrets/OTHER", b'{"value": ' + encoded + b', "hosts": ["https://a.example"]}')
                == 201
            )
            for broken in (encoded, b"[" + encoded + b"]", b'{"value": ' + encoded, b"{" + encoded + b": 1}"):
                assert await ask("PUT", "/secrets/KEY", broken) == 400
            assert await ask("PUT", "/secrets/1", b'{"value": ' + encoded + b"}") == 400
            assert await ask("PUT", "/secrets/KEY", b'{"value": ' + json.dumps(VALUE * 3000).encode() + b"}") == 413
            await insert_naming_function(pool, "orders", "KEY")
            assert await ask("DELETE", "/secrets/KEY") == 409
            # A failure inside, with its trace in the log.
            await pool.execute("ALTER TABLE secrets ADD CONSTRAINT broken CHECK (key_id = '') NOT VALID")
            assert await ask("PUT", "/secrets/KEY", b'{"value": ' + encoded + b"}") == 500
            await pool.execute("ALTER TABLE secrets DROP CONSTRAINT broken")
            key = (data_dir / "secret.key").read_bytes()
            (data_dir / "secret.key").unlink()
            assert await ask("PUT", "/secrets/NEW", b'{"value": ' + encoded + b"}") == 409
            for path in ("/secrets", "/secrets/KEY", "/audit", "/health", "/metrics"):
                assert await ask("GET", path) == 200
        out, err = await faas("backup", str(archive), "--database-url", database_url)
        answers += [out.encode(), err.encode()]
    assert len(answers) >= 20
    for number, answer in enumerate(answers):
        assert_absent(f"answer {number}: {answer[:100]!r}", answer)
        assert key.hex().encode() not in answer
    log = "\n".join(server.lines).encode()
    assert b"secret.set" in log
    assert b"request.failed" in log
    assert_absent("the log", log)
    tables = await rows_of_all_tables(database_url)
    assert b"KEY" in tables["public.secrets"]
    assert b"secret.set" in tables["public.audit"]
    for name, content in tables.items():
        assert_absent(f"the table {name}", content)
        assert key not in content
        assert key.hex().encode() not in content
    with zipfile.ZipFile(archive) as opened:
        assert "secrets.copy" in opened.namelist()
        for entry in opened.namelist():
            assert_absent(f"{entry} of the backup", opened.read(entry))
            assert key not in opened.read(entry)
    for file in data_dir.rglob("*"):
        if file.is_file():
            assert_absent(str(file), file.read_bytes())
