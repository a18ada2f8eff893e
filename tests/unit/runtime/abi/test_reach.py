"""The imports of the module `faas`, and the environment of WASI, with modules written by hand."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from faas.runtime import Runtime
from faas.runtime.host_context import HostContext
from faas.runtime.reach import NOTHING, Reach
from tests.helpers.echo_server import echo_server
from tests.helpers.guests import SHORT_LIMITS, assemblyscript_module, limits_for, run_module, small_runtime
from tests.helpers.outbound import open_loopback_session
from tests.helpers.support import core_wat, wat

IMPORTS = """
    (import "faas" "env" (func $env (param i32 i32) (result i64)))
    (import "faas" "http" (func $http (param i32 i32) (result i64)))"""
# The input is at 1024, a JSON string without escapes in `$env` modules. Answers are allocated at 4096.
ALLOC = "(if (result i32) (global.get $used) (then (i32.const 4096)) (else (global.set $used (i32.const 1)) (i32.const 1024)))"
USED = "(global $used (mut i32) (i32.const 0))"
ENV = core_wat(
    "(call $env (i32.add (local.get 0) (i32.const 1)) (i32.sub (local.get 1) (i32.const 2)))",
    extra=IMPORTS + USED,
    alloc=ALLOC,
)
HTTP = core_wat("(call $http (local.get 0) (local.get 1))", extra=IMPORTS + USED, alloc=ALLOC, memory="10 2000")
REACH = Reach(
    variables={"REGION": "eu", "EMPTY": "", "QUOTE": 'a"\n😀'},
    secrets={"TOKEN": "t"},
    open_session=open_loopback_session,
)
# An array of bytes on AssemblyScript's heap becomes a string of 2 bytes for each character.
AS_HTTP = assemblyscript_module(
    """(local $answer i64) (local $size i32) (local $n i32)
    (local.set $answer (call $http (i32.const 1024) (i32.load (i32.const 1020))))
    (local.set $size (i32.wrap_i64 (local.get $answer)))
    (loop $next
      (i32.store16 (i32.add (i32.const 8192) (i32.shl (local.get $n) (i32.const 1)))
        (i32.load8_u (i32.add (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32))) (local.get $n))))
      (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (local.get $size))))
    (i32.store (i32.const 8184) (i32.const 2)) (i32.store (i32.const 8188) (i32.shl (local.get $size) (i32.const 1)))
    (i32.const 8192)""",
    imports=IMPORTS,
    strings={1024: b'{"url":"not a url"}'},
)


class SilentSession:
    """Requests without responses."""

    def start(self, _frame: bytes) -> int:
        return 1

    def take(self, _number: int) -> None:
        return None

    def records(self) -> tuple[()]:
        return ()

    def close(self) -> None:
        return None


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The origin of a server that answers with what it gets."""
    with echo_server() as found:
        yield found


async def http(runtime: Runtime, request: object, reach: Reach = REACH) -> Any:
    """Return the answer to a request of a core module."""
    document = request if isinstance(request, bytes) else json.dumps(request).encode()
    outcome = await run_module(runtime, HTTP, document, reach)
    assert outcome.output is not None, outcome.error
    return json.loads(outcome.output)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REGION", "eu"),
        ("EMPTY", ""),
        ("QUOTE", 'a"\n😀'),
        ("TOKEN", "t"),
        ("NONE", None),
        ("region", None),
        ("", None),
    ],
)
async def test_env_import_returns_a_variable_a_secret_or_null(runtime: Runtime, name: str, value: str | None) -> None:
    outcome = await run_module(runtime, ENV, f'"{name}"'.encode(), REACH)
    assert outcome.output is not None
    assert json.loads(outcome.output) == value


async def test_env_import_has_nothing_of_the_servers_environment(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SERVER", "x")
    assert (await run_module(runtime, ENV, b'"OF_THE_SERVER"')).output == b"null"


async def test_http_import_makes_requests(runtime: Runtime, origin: str) -> None:
    found = await http(
        runtime,
        {"method": "POST", "url": f"{origin}/a", "headers": {"X-One": "1"}, "body": "ä"},
    )
    assert found["status"] == 200
    assert found["url"] == f"{origin}/a"
    assert [value for name, value in found["headers"] if name == "set-cookie"] == ["a=1", "b=2"]
    echoed = json.loads(found["body"])
    assert (echoed["method"], echoed["headers"]["x-one"]) == ("POST", "1")
    assert echoed["body"].encode("latin-1") == "ä".encode()
    assert found.keys() == {"status", "url", "headers", "body"}


async def test_http_import_passes_bytes_in_base64(runtime: Runtime, origin: str) -> None:
    sent = {"method": "PUT", "url": origin, "headers": [["X", "1"], ["X", "2"]], "bodyBase64": "AP8="}
    echoed = json.loads((await http(runtime, sent))["body"])
    assert echoed["body"] == "\0ÿ"
    found = await http(runtime, {"url": f"{origin}?body=%FF%FE"})
    assert base64.b64decode(found["bodyBase64"]) == b"\xff\xfe"
    assert "body" not in found


async def test_http_import_answers_with_an_error(runtime: Runtime) -> None:
    assert "http://127.0.0.1:1 refused the connection" in (await http(runtime, {"url": "http://127.0.0.1:1/"}))["error"]
    refused = {"error": "functions cannot make outbound requests here"}
    assert await http(runtime, {"url": "http://127.0.0.1:1/"}, NOTHING) == refused


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "Object missing required field `url`"),
        ({"url": 5}, "Expected `str`"),
        ({"url": "x", "other": 1}, "unknown field `other`"),
        ({"url": "x", "headers": [["a"]]}, "`array` of length 2"),
        ({"url": "x", "body": "a", "bodyBase64": ""}, "a request has `body` or `bodyBase64`, not both"),
        ({"url": "x", "bodyBase64": "?"}, "base64"),
        (b"{", "truncated"),
        (b"\xff", "malformed"),
    ],
)
async def test_http_import_explains_what_is_no_request(runtime: Runtime, request_: object, reason: str) -> None:
    error = (await http(runtime, request_))["error"]
    assert error.startswith(("the request is not one: ", "a request has"))
    assert reason in error


async def test_http_import_is_there_for_assemblyscript(runtime: Runtime) -> None:
    outcome = await run_module(runtime, AS_HTTP, reach=NOTHING)
    assert outcome.output == b'{"error":"functions cannot make outbound requests here"}'


async def test_http_import_runs_in_threads_at_the_same_time(runtime: Runtime, origin: str) -> None:
    """Also once the module is quick enough to run on the event loop, where no request is made."""
    for _ in range(3):
        await run_module(runtime, HTTP, b'{"url":"x","other":1}', REACH)
    for _ in range(3):
        outcomes = await asyncio.gather(
            *(run_module(runtime, HTTP, json.dumps({"url": f"{origin}/{n}"}).encode(), REACH) for n in range(8))
        )
        found = [json.loads(json.loads(outcome.output or b"")["body"])["path"] for outcome in outcomes]
        assert found == [f"/{n}" for n in range(8)]
        assert not any(outcome.inline for outcome in outcomes)


async def test_http_import_ends_at_the_time_limit(runtime: Runtime) -> None:
    """Also where the response does not come even then, as it does from faas.outbound."""
    silent = Reach(open_session=lambda *_: SilentSession())
    outcome = await run_module(runtime, HTTP, b'{"url": "http://127.0.0.1/"}', silent, SHORT_LIMITS)
    assert outcome.error == "time limit of 300ms exceeded"
    assert outcome.failure == "time"


async def test_http_import_ends_at_a_shutdown(origin: str) -> None:
    document = json.dumps({"url": f"{origin}?wait=30"}).encode()
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def open_session(remaining: Any, wake: Any) -> Any:
        loop.call_soon_threadsafe(started.set)
        return open_loopback_session(remaining, wake)

    async with small_runtime() as stopped:
        running = asyncio.create_task(run_module(stopped, HTTP, document, Reach(open_session=open_session)))
        await started.wait()
        stopped.interrupt()
        assert (await asyncio.wait_for(running, 30)).error == "interrupted: the server shut down"


@pytest.mark.parametrize(
    ("handle", "alloc", "reason"),
    [
        ("(call $env (i32.const -1) (i32.const 10))", ALLOC, "lie outside the memory of the module"),
        ("(call $env (i32.const 0) (i32.const -1))", ALLOC, "lie outside the memory of the module"),
        ("(call $env (i32.const 0) (i32.const 1025))", ALLOC, "1025 bytes were passed to the module faas"),
        ("(call $http (i32.const 0) (i32.const 0xC00001))", ALLOC, "the limit is 12 MiB"),
        ("(call $env (i32.const 0) (i32.const 1))", ALLOC.replace("4096", "-8"), "has no room for its 4 bytes"),
        ("(call $env (i32.const 0) (i32.const 1))", ALLOC.replace("4096", "0"), "allocated for an answer, at 0,"),
        (
            "(call $env (i32.const 0) (i32.const 1))",
            ALLOC.replace("(i32.const 4096)", "unreachable"),
            "trap: unreachable code was reached in function 3",
        ),
        (
            "(call $env (i32.const 0) (i32.const 1))",
            ALLOC.replace("(i32.const 4096)", "(loop (br 0)) unreachable"),
            "time limit of 300ms exceeded",
        ),
        (
            "(call $env (i32.const 0) (i32.const 1))",
            ALLOC.replace("(i32.const 4096)", "(drop (call $env (i32.const 0) (i32.const 1))) (i32.const 4096)"),
            "was called while memory was allocated",
        ),
        (
            "(call $env (i32.const 0) (i32.const 1))",
            ALLOC.replace("(i32.const 4096)", "(call $deep)"),
            "stack limit of 256 KiB exceeded",
        ),
    ],
)
async def test_reach_import_with_a_faulty_guest_fails_the_execution(
    runtime: Runtime, handle: str, alloc: str, reason: str
) -> None:
    """Also where the guest goes on and returns what is no output; on the event loop and in threads."""
    deep = "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))"
    module = core_wat(handle, extra=IMPORTS + USED + deep, alloc=alloc, memory="200" if "$http" in handle else "1")
    going_on = module.replace(handle, f"(drop {handle}) (i64.const 0x0000080000000002)")
    going_on = going_on.replace(USED, f'{USED} (data (i32.const 2048) "{{}}")')
    for text in (module, going_on):
        for _ in range(2):
            outcome = await run_module(runtime, text, b"{}", REACH, limits_for(reason))
            assert outcome.output is None
            assert reason in (outcome.error or "")


async def test_reach_import_that_fails_inside_the_host_does_not_reach_other_executions(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_context: HostContext) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(HostContext, "session", broken)
    outcomes = await asyncio.gather(*(run_module(runtime, HTTP, b'{"url":"x"}', REACH) for _ in range(50)))
    assert {outcome.error for outcome in outcomes} == {
        "invalid JSON: JSON is malformed: it ends too early; the output begins: "
    }


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (
            ENV.replace('"faas" "env"', '"faas" "files"'),
            "import faas.files is not provided; the imports provided: faas.env",
        ),
        (
            ENV.replace("(func $env (param i32 i32) (result i64))", "(func $env (param i32 i32) (result i32))")
            .replace("(call $env", "(i64.extend_i32_u (call $env")
            .replace("(i32.const 2)))", "(i32.const 2))))"),
            "import faas.env has another type; provided is (i32, i32) -> i64",
        ),
        (
            f'(module {IMPORTS} (memory (export "memory") 1) (func (export "_start")))',
            "import faas.env needs the export alloc (i32) -> i32",
        ),
    ],
)
async def test_reach_import_that_is_not_provided_is_refused(runtime: Runtime, module: str, reason: str) -> None:
    assert reason in (await runtime.check(wat(module)) or "")


# Writes the environment as a JSON string, with a semicolon after each variable.
WASI_ENVIRONMENT = r"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start") (local $at i32) (local $end i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 1024) (i32.const 4097)))
    (i32.store8 (i32.const 4096) (i32.const 34))
    (local.set $at (i32.const 4097))
    (local.set $end (i32.add (local.get $at) (i32.load (i32.const 4))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (if (i32.eqz (i32.load8_u (local.get $at))) (then (i32.store8 (local.get $at) (i32.const 59))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (i32.store8 (local.get $end) (i32.const 34))
    (i32.store (i32.const 16) (i32.const 4096))
    (i32.store (i32.const 20) (i32.sub (local.get $end) (i32.const 4095)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))))"""


async def test_wasi_environment_has_the_variables_and_the_secrets(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_SERVER", "x")
    reach = Reach(variables={"REGION": "eu ŵ", "SAME": "variable"}, secrets={"TOKEN": "t=1", "SAME": "secret"})
    outcome = await run_module(runtime, WASI_ENVIRONMENT, reach=reach)
    assert outcome.output is not None, outcome.error
    assert sorted(json.loads(outcome.output).split(";")) == ["", "REGION=eu ŵ", "SAME=variable", "TOKEN=t=1"]
    assert (await run_module(runtime, WASI_ENVIRONMENT)).output == b'""'


async def test_reach_imports_are_there_for_a_wasi_command_with_alloc(runtime: Runtime, origin: str) -> None:
    request = json.dumps({"url": f"{origin}/wasi?body=%5B1%5D"})
    module = f"""(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) {IMPORTS}
      (memory (export "memory") 2) (data (i32.const 1024) "{request.replace(chr(34), chr(92) + chr(34))}")
      (func (export "alloc") (param i32) (result i32) (i32.const 8192))
      (func (export "_start") (local $answer i64)
        (local.set $answer (call $http (i32.const 1024) (i32.const {len(request)})))
        (i32.store (i32.const 16) (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32))))
        (i32.store (i32.const 20) (i32.wrap_i64 (local.get $answer)))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))))"""
    outcome = await run_module(runtime, module, reach=REACH)
    assert outcome.output is not None, outcome.error
    assert json.loads(outcome.output)["body"] == "[1]"
