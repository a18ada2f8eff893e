"""Tests of the command line, in processes of its own."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.helpers.command_line import NO_VALUE, Faas
from tests.helpers.server import COMMAND, Server, serving

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def faas(server: Server) -> Faas:
    return Faas(server)


async def test_cli_first_function_of_the_readme(faas: Faas) -> None:
    out, _ = await faas("deploy", str(EXAMPLES / "hello.ts"))
    assert out == "hello created, revision 1: READY, live\n"
    out, err = await faas("invoke", "hello", "--input", '{"name": "you"}')
    assert out == '{"greeting":"Hello, you!"}\n'
    assert err == "greeting you\n"
    out, _ = await faas("executions", "hello")
    assert "COMPLETED" in out


async def test_cli_deploys_and_invokes_every_example(faas: Faas) -> None:
    for file in sorted(file for file in EXAMPLES.glob("*.*") if file.suffix != ".py"):  # those: test_python.py
        out, _ = await faas("deploy", str(file))
        assert out == f"{file.name.partition('.')[0]} created, revision 1: READY, live\n"
    out, _ = await faas("invoke", "echo", "--input", '{"n": 1.0e400, "a": "\\u0000"}')
    assert out == '{"n": 1.0e400, "a": "\\u0000"}\n'
    out, _ = await faas("invoke", "sum", "--input", '{"numbers": [1, 2, 3.5]}')
    assert json.loads(out) == {"sum": 6.5, "count": 3}
    out, _ = await faas("invoke", "order", "--input", '{"placed": "2026-02-27", "lines": [{"price": 2.5, "count": 4}]}')
    assert json.loads(out) == {"total": 10, "due": "2026-03-02", "digest": "f25163c9d9c6"}
    out, _ = await faas("list", "--json")
    assert {function["status"] for function in json.loads(out)} == {"READY"}


async def test_deploy_says_what_it_waits_for(database_url: str, tmp_path: Path) -> None:
    """The server has no compiler: the revision stays PENDING."""
    file = tmp_path / "greet.wat"
    file.write_text("(module)")
    async with serving("--role", "api", environment={"FAAS_DATABASE_URL": database_url}) as server:
        _, err = await Faas(server)("deploy", str(file), "--timeout", "17", code=1)
    waiting, failed = err.splitlines()
    assert waiting == "waiting for revision 1 of greet, which is PENDING"
    assert failed.startswith("faas: revision 1 of greet is still PENDING after 17 s")


async def test_deploy_updates_a_function_and_prints_compile_errors(faas: Faas, tmp_path: Path) -> None:
    file = tmp_path / "greet.as.ts"
    file.write_text("export function handle(input: string): string { return input; }")
    created = "greet created, revision 1: READY, live\n"
    out, err = await faas("deploy", str(file), "--description", "greets")
    waiting = "waiting for revision 1 of greet, which is "  # after 15 s
    assert (out, [line for line in err.splitlines() if not line.startswith(waiting)]) == (created, [])
    assert await faas("deploy", str(file)) == ("greet unchanged, revision 1: READY, live\n", "")
    updated = "greet updated, revision 1: READY, live\n"
    assert await faas("deploy", str(file), "--description", "greets you") == (updated, "")
    file.write_text("export function handle(input: string): string {\n  return 5;\n}\n")
    out, err = await faas("deploy", str(file), code=1)
    assert out == ""
    assert "ERROR TS2322" in err
    assert "function.ts(2,10)" in err
    assert err.endswith("greet does not compile (revision 2); revision 1 still serves\n")
    function = json.loads((await faas("get", "greet", "--json"))[0])
    assert (function["status"], function["revision"], function["description"]) == ("READY", 1, "greets you")
    assert (function["latest"]["revision"], function["latest"]["status"]) == (2, "FAILED")
    deployed = json.loads((await faas("deploy", str(file), "--json", code=1))[0])["deployed"]
    assert (deployed["revision"], deployed["status"], deployed["live"]) == (3, "FAILED", False)
    assert "ERROR TS2322" in deployed["compileError"]
    out, _ = await faas("deploy", str(file), "--name", "other", "--no-wait")
    assert out == "other created, revision 1: PENDING\n"
    _, err = await faas("deploy", str(file), "--name", "another", code=1)
    assert err.endswith("\nanother does not compile (revision 1)\n")


async def test_deploy_of_typescript_onto_assemblyscript_needs_the_language(faas: Faas, tmp_path: Path) -> None:
    file = tmp_path / "greet.ts"
    file.write_text("export function handle(input: string): string { return input; }")
    await faas("deploy", str(file), "--language", "assemblyscript")
    _, err = await faas("deploy", str(file), code=2)
    assert "the function greet is written in AssemblyScript, and this file is TypeScript by its extension" in err
    assert (await faas("deploy", str(file), "--language", "assemblyscript"))[0].startswith(
        "greet unchanged, revision 1"
    )
    assert (await faas("deploy", str(file), "--language", "typescript"))[0].startswith("greet updated, revision 2")
    assert (await faas("deploy", str(file)))[0].startswith("greet unchanged, revision 2")


async def test_invoke_prints_unpaired_surrogates_as_escapes(faas: Faas, tmp_path: Path) -> None:
    file = tmp_path / "lone.js"
    file.write_text("export const handle = () => ['\\ud800', 'é'];")
    await faas("deploy", str(file))
    assert (await faas("invoke", "lone"))[0] == '["\\ud800","\\u00e9"]\n'


async def test_invoke_reads_input_from_a_file_and_from_stdin(faas: Faas, tmp_path: Path) -> None:
    await faas("deploy", str(EXAMPLES / "echo.wat"))
    document = tmp_path / "input.json"
    document.write_text('{"from": "file"}')
    assert (await faas("invoke", "echo", "--input", f"@{document}"))[0] == '{"from": "file"}\n'
    assert (await faas("invoke", "echo", "--input", "-", stdin=b'{"from": "stdin"}\n'))[0] == '{"from": "stdin"}\n'
    assert (await faas("invoke", "echo"))[0] == "{}\n"
    execution = json.loads((await faas("invoke", "echo", "--json"))[0])
    assert (execution["status"], execution["output"]) == ("COMPLETED", {})
    _, err = await faas("invoke", "echo", "--input", "[1]", code=2)
    assert err == "faas: --input: is an array; accepted is a JSON object, or null for {}\n"
    _, err = await faas("invoke", "echo", "--input", "@/nowhere", code=2)
    assert err == "faas: --input @/nowhere: No such file or directory\n"
    _, err = await faas("invoke", "echo", "--input", b'{"a":"\xff"}', code=2)
    assert err == "faas: --input: invalid UTF-8 at byte 6\n"


async def test_invoke_error_place_is_in_the_text_of_the_user(faas: Faas, tmp_path: Path) -> None:
    source = tmp_path / "marked.wat"
    source.write_bytes(b"\xef\xbb\xbf" + (EXAMPLES / "echo.wat").read_text().replace("\n", "\r\n").encode())
    await faas("deploy", str(source), "--name", "echo")
    document = tmp_path / "input.json"
    document.write_bytes('{"from": "😀"}'.encode("utf-16"))
    assert (await faas("invoke", "echo", "--input", f"@{document}"))[0] == '{"from": "😀"}\n'
    assert (await faas("invoke", "echo", "--input", "-", stdin=b"\xef\xbb\xbf{}"))[0] == "{}\n"
    _, err = await faas("invoke", "echo", "--input", "-", stdin=b'{\n  "a": NaN}', code=2)
    assert err == "faas: --input -: line 2, column 8: JSON is malformed: invalid character in NaN\n"
    _, err = await faas("run", str(source), "--input", "{'a': 1}", code=2)
    assert err.startswith("faas: --input: line 1, column 2: JSON is malformed: ")
    limit = 499  # the deepest input that the server accepts
    deepest = b'{"a":' * limit + b"1" + b"}" * limit
    assert (await faas("invoke", "echo", "--input", "-", stdin=deepest))[0].encode() == deepest + b"\n"
    _, err = await faas("invoke", "echo", "--input", "-", stdin=b'{"a":' + deepest + b"}", code=2)
    assert err == "faas: --input -: line 1, column 2496: nested deeper than 499 levels\n"
    source.write_bytes(b"\xef\xbb\xbfexport function handle(input: string): string {\r\n  return 5;\r\n}\r\n")
    _, err = await faas("deploy", str(source), "--language", "assemblyscript", code=1)
    assert "function.ts(2,10)" in err


async def test_invoke_prints_the_output_when_the_server_stops_after_it() -> None:
    answer = b'{"id":"1","status":"COMPLETED","output":{"a":1},"errorMessage":null}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        listening.close()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    faas = Faas(None)
    faas._environment["FAAS_URL"] = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    out, err = await faas("invoke", "echo")
    assert out == '{"a":1}\n'
    assert err.startswith("(the logs are not available: no answer from ")
    faas._environment["FAAS_URL"] = "localhost:8080"
    _, err = await faas("invoke", "echo", code=2)
    assert err == "faas: --url 'localhost:8080': accepted is a URL that begins with http:// or https://\n"


async def test_invoke_prints_the_error_of_a_failed_execution_and_exits_with_1(faas: Faas, tmp_path: Path) -> None:
    file = tmp_path / "fails.js"
    file.write_text('export function handle() { console.log("so far"); throw new Error("no"); }')
    await faas("deploy", str(file))
    out, err = await faas("invoke", "fails", code=1)
    assert (out, err) == ("", "so far\nError: no\n    at handle (function.js:1:61)\n")
    assert "Error: no" in (await faas("executions", "fails", "--status", "FAILED"))[0]


async def test_deploy_and_get_say_where_a_function_answers(faas: Faas, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "page.js"
    file.write_text("export default { fetch: () => new Response('page') };")
    assert (await faas("deploy", str(file)))[0] == "page created, revision 1: READY, live\n"
    out, _ = await faas("get", "page")
    assert f"endpoint     {server.url}/f/page/ (not public)\n" in out
    assert "contract     fetch\n" in out
    out, _ = await faas("deploy", str(file), "--public")
    assert out == f"page updated, revision 2: READY, live\nanyone may call {server.url}/f/page/\n"
    out, _ = await faas("get", "page")
    assert f"endpoint     {server.url}/f/page/ (public)\n" in out
    file.write_text("export default { fetch: () => new Response('other') };")
    out, _ = await faas("deploy", str(file), "--no-promote")
    assert out == "page updated, revision 3: READY, not live: revision 2 serves until `faas promote page 3`\n"


async def test_execution_shows_the_record(faas: Faas, tmp_path: Path) -> None:
    file = tmp_path / "asks.js"
    file.write_text(
        "export async function handle({ url }) {\n"
        "  console.log('so far');\n"
        "  if (url) await fetch(url);\n"
        "  return { n: 1 };\n"
        "}\n"
    )
    await faas("deploy", str(file))
    await faas("invoke", "asks", "--input", '{"m": 1.0e400}')
    await faas("invoke", "asks", "--input", '{"url": "http://127.0.0.1:1/a"}', code=1)
    failed, completed = json.loads((await faas("executions", "asks", "--json"))[0])
    out, err = await faas("execution", completed["id"])
    fields, *sections = out.rstrip("\n").split("\n\n")
    assert fields.splitlines()[:4] == [
        f"id        {completed['id']}",
        "function  asks",
        "revision  1",
        "status    COMPLETED",
    ]
    assert (sections, err) == (['input\n{"m": 1.0e400}', "logs\nso far", 'output\n{"n":1}'], "")
    out, _ = await faas("execution", failed["id"])
    _, *sections = out.rstrip("\n").split("\n\n")
    assert [section.partition("\n")[0] for section in sections] == ["input", "requests", "logs", "error"]
    assert sections[1].startswith(
        "requests\nGET http://127.0.0.1:1/a: the request to http://127.0.0.1:1 is not allowed"
    )
    assert "--outbound http://127.0.0.1:1" in sections[3]
    assert json.loads((await faas("execution", failed["id"], "--json"))[0])["requests"][0]["status"] is None
    _, err = await faas("execution", "00000000-0000-7000-8000-000000000000", code=1)
    assert err.startswith("faas: ")
    assert (await faas("execution", "", code=2))[1] == "faas: the id is empty\n"


async def test_list_get_and_delete_functions(faas: Faas) -> None:
    assert await faas("list") == ("", "no functions yet: faas deploy FILE\n")
    await faas("deploy", str(EXAMPLES / "echo.wat"), "--description", "gives back")
    out, _ = await faas("list")
    header, row = out.splitlines()[0], out.splitlines()[2]
    assert header.split() == ["NAME", "STATUS", "LANGUAGE", "LIVE", "NEWEST", "UPDATED", "DESCRIPTION"]
    assert row.split()[:5] == ["echo", "READY", "wat", "1", NO_VALUE]
    out, _ = await faas("get", "echo")
    assert "gives back" in out
    assert (await faas("get", "echo", "--source"))[0] == (EXAMPLES / "echo.wat").read_text()
    _, err = await faas("delete", "echo", code=2)
    assert err == "faas: confirmation needed but stdin is not a terminal; pass --yes\n"
    assert (await faas("delete", "echo", "--yes"))[0] == "echo deleted\n"
    _, err = await faas("get", "echo", code=1)
    assert err == "faas: no function has the id or name 'echo'\n"


async def test_run_executes_without_a_server(tmp_path: Path) -> None:
    faas = Faas(None)
    out, err = await faas("run", str(EXAMPLES / "hello.ts"), "--input", '{"name": "you"}')
    assert (out, err) == ('{"greeting":"Hello, you!"}\n', "greeting you\n")
    out, _ = await faas(
        "run", str(EXAMPLES / "echo.wat"), "--input", "-", "--repeat", "50", "--json", stdin=b'{"n": 1}'
    )
    described = json.loads(out)
    assert (described["status"], described["output"], described["calls"]) == ("COMPLETED", {"n": 1}, 50)
    assert 0 < described["callSeconds"]["median"] <= described["callSeconds"]["p99"] < 5
    out, _ = await faas("run", str(EXAMPLES / "echo.wat"), "--input", '{"n": 1.0e400}', "--json")
    assert '"output":{"n": 1.0e400}' in out
    file = tmp_path / "broken.as.ts"
    file.write_text("export function handle(input: string): string { return 5; }")
    _, err = await faas("run", str(file), code=1)
    assert "TS2322" in err
    file = tmp_path / "broken.ts"
    file.write_text("export function handle(input: string): string { return 5 +; }")
    _, err = await faas("run", str(file), code=1)
    assert err.startswith("SyntaxError: Expression expected\n    at function.ts:1:59\n")
    _, err = await faas("run", str(EXAMPLES / "hello.ts"), "--input", "[1]", code=2)
    assert err == "faas: --input: is an array; accepted is a JSON object, or null for {}\n"


async def test_cli_reports_an_unreachable_server() -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "list", "--url", "http://127.0.0.1:1", env={}, stdout=-1, stderr=-1
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().startswith("faas: no answer from http://127.0.0.1:1: ")
    assert "Is `faas serve` running?" in err.decode()


@pytest.mark.parametrize(
    "command",
    [
        "",
        *("serve", "migrate", "deploy", "invoke", "list", "get", "delete", "executions", "execution"),
        *("revisions", "promote", "rollback", "diff"),
    ],
)
async def test_help_works_with_an_empty_environment(command: str) -> None:
    process = await asyncio.create_subprocess_exec(COMMAND, *command.split(), "--help", env={}, stdout=-1, stderr=-1)
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"Usage: faas")
