"""fetch of functions: requests to a server that really is there."""

from collections.abc import Callable, Iterator

import pytest

from faas.runtime.limits import Limits
from faas.runtime.outbound_frames import FrameSession
from faas.runtime.reach import Reach
from tests.helpers.echo_server import echo_server
from tests.helpers.local_functions import LocalFunctions
from tests.helpers.outbound import open_loopback_session
from tests.helpers.web_calls import WebFunction, compile_error, deployed, get

REACH = Reach(open_session=open_loopback_session)


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with echo_server() as origin:
        yield origin


def _two_seconds(functions: LocalFunctions) -> Limits:
    return functions.local.runtime.limits.narrowed(2.0, None)


async def _function(functions: LocalFunctions, origin: str, body: str) -> WebFunction:
    source = f"const ORIGIN = '{origin}';\nexport async function handle(input) {{\n{body}\n}}"
    return await deployed(functions, source, reach=REACH)


async def test_fetch_gets_a_response(functions: LocalFunctions, origin: str) -> None:
    body = """const response = await fetch(`${ORIGIN}/echo?a=1`, { headers: { "X-Sent": "yes" } });
      const { method, path, query, headers } = await response.json();
      return [response.status, response.ok, response.statusText, response.url, response.type, response.redirected,
        response.headers.get("content-type"), method, path, query, headers["x-sent"]];"""
    function = await _function(functions, origin, body)
    for _ in range(4):
        assert await function.value() == [
            *(200, True, "OK", f"{origin}/echo?a=1", "basic", False),
            *("application/json", "GET", "/echo", {"a": "1"}, "yes"),
        ]


BODIES = {
    "text": ("'h\\u00e9'", "h\xc3\xa9", "text/plain;charset=UTF-8"),
    "bytes": ("new Uint8Array([0, 255])", "\x00\xff", None),
    "parameters": ("new URLSearchParams({ a: '1 2' })", "a=1+2", "application/x-www-form-urlencoded;charset=UTF-8"),
    "blob": ("new Blob(['x'], { type: 'a/b' })", "x", "a/b"),
    "stream": ("new Blob(['str', 'eam']).stream()", "stream", None),
    "json": ("JSON.stringify({ a: 1 })", '{"a":1}', "text/plain;charset=UTF-8"),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_fetch_sends_a_body(functions: LocalFunctions, origin: str, kind: str) -> None:
    expression, sent, content_type = BODIES[kind]
    body = f"""const response = await fetch(`${{ORIGIN}}/echo`, {{ method: "POST", body: {expression}, duplex: "half" }});
      const echo = await response.json();
      return [echo.method, echo.body, echo.headers["content-type"] ?? null];"""
    assert await (await _function(functions, origin, body)).value() == ["POST", sent, content_type]


async def test_fetch_sends_a_request(functions: LocalFunctions, origin: str) -> None:
    body = """const request = new Request(`${ORIGIN}/echo`, { method: "PUT", body: "first", headers: { a: "1" } });
      const echo = await (await fetch(request, { headers: { b: "2" } })).json();
      return [echo.method, echo.body, echo.headers.a ?? null, echo.headers.b, request.bodyUsed];"""
    assert await (await _function(functions, origin, body)).value() == ["PUT", "first", None, "2", True]


async def test_fetch_sends_a_form(functions: LocalFunctions, origin: str) -> None:
    body = """const form = new FormData();
      form.append("text", "a");
      form.append("file", new File(["content"], "name.txt", { type: "text/plain" }));
      const response = await fetch(`${ORIGIN}/bytes`, { method: "POST", body: form });
      const { headers, body } = await (await fetch(`${ORIGIN}/echo`, { method: "POST", body: form })).json();
      const parsed = await new Response(body, { headers: { "content-type": headers["content-type"] } }).formData();
      return [parsed.get("text"), parsed.get("file").name, await parsed.get("file").text()];"""
    assert await (await _function(functions, origin, body)).value() == ["a", "name.txt", "content"]


async def test_fetch_reads_bytes_cookies_and_texts(functions: LocalFunctions, origin: str) -> None:
    body = """const bytes = await (await fetch(`${ORIGIN}/bytes`)).bytes();
      const cookies = await fetch(`${ORIGIN}/cookies`);
      const empty = await fetch(`${ORIGIN}/echo?status=204&body=`);
      const head = await fetch(`${ORIGIN}/bytes`, { method: "HEAD" });
      return [bytes.length, bytes[255], cookies.headers.getSetCookie(), cookies.headers.get("x-note"), await cookies.text(),
        empty.status, empty.body, head.body, await head.text()];"""
    expected = [256, 255, ["a=1; Path=/", "b=2, 3"], "cap\xe9", "cap\xe9", 204, None, None, ""]
    assert await (await _function(functions, origin, body)).value() == expected


async def test_fetch_follows_redirects_or_not(functions: LocalFunctions, origin: str) -> None:
    body = """const followed = await fetch(`${ORIGIN}/redirect?to=%2Fecho%3Fredirected%3D1`);
      const manual = await fetch(`${ORIGIN}/redirect?to=%2Fecho%3Fredirected%3D1`, { redirect: "manual" });
      return [followed.status, (await followed.json()).path, manual.status, manual.headers.get("location")];"""
    expected = [200, "/echo", 302, "/echo?redirected=1"]
    assert await (await _function(functions, origin, body)).value() == expected


async def test_function_that_waits_for_a_response_does_not_ask_for_it_in_a_loop(
    functions: LocalFunctions, origin: str
) -> None:
    asked = 0

    def open_counting_session(remaining: Callable[[], float], wake: Callable[[], None]) -> FrameSession:
        session = open_loopback_session(remaining, wake)
        take = session.take

        def counting_take(number: int) -> bytes | None:
            nonlocal asked
            asked += 1
            return take(number)

        session.take = counting_take  # type: ignore[method-assign]
        return session

    source = f"export async function handle() {{ await fetch('{origin}/echo?wait=1'); return 1; }}"
    function = await deployed(functions, source, reach=Reach(open_session=open_counting_session))
    assert await function.value() == 1
    assert 1 <= asked <= 3  # before it waits, and when it is woken


async def test_requests_of_one_call_run_at_the_same_time(functions: LocalFunctions, origin: str) -> None:
    """None is answered before all are there, and the last one is made by a timer that runs while the others wait."""
    body = """const seen = [];
      const request = async () => { await fetch(`${ORIGIN}/echo?parties=4`); seen.push("answer"); };
      const last = new Promise((resolve) => setTimeout(() => { seen.push("timer"); resolve(request()); }, 100));
      await Promise.all([request(), request(), request(), last]);
      return seen;"""
    assert await (await _function(functions, origin, body)).value() == ["timer", *["answer"] * 4]


async def test_aborted_fetch_rejects_with_the_reason(functions: LocalFunctions, origin: str) -> None:
    body = """const names = [];
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 30);
      const attempts = [
        fetch(`${ORIGIN}/echo?wait=1`, { signal: controller.signal }),
        fetch(`${ORIGIN}/echo?wait=1`, { signal: AbortSignal.timeout(40) }),
        fetch(`${ORIGIN}/echo`, { signal: AbortSignal.abort("before") }),
        fetch(new Request(`${ORIGIN}/echo?wait=1`, { signal: controller.signal })),
      ];
      for (const attempt of attempts) await attempt.catch((error) => names.push(error.name ?? error));
      return names;"""
    expected = ["AbortError", "TimeoutError", "before", "AbortError"]
    assert await (await _function(functions, origin, body)).value() == expected


async def test_fetch_that_fails_is_a_type_error_with_the_authors_line(functions: LocalFunctions) -> None:
    function = await _function(functions, "http://127.0.0.1:1", "await fetch(ORIGIN);")
    outcome = await function.call()
    assert outcome.error is not None
    assert outcome.error.startswith("TypeError: fetch failed: http://127.0.0.1:1 refused the connection")
    assert outcome.error.endswith("\n    at handle (function.js:3:13)")
    caught = await _function(
        functions,
        "http://127.0.0.1:1",
        "try { await fetch(ORIGIN); } catch (error) { return [error.name, error instanceof TypeError]; }",
    )
    assert await caught.value() == ["TypeError", True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'/relative'", "TypeError: Invalid URL: /relative"),
        ("ORIGIN, { method: 'TRACE' }", 'TypeError: a request cannot have the method "TRACE"'),
        ("ORIGIN, { headers: { 'a\\nb': 'c' } }", "TypeError: "),
        ("ORIGIN, { body: 'x' }", "TypeError: a request with the method GET cannot have a body"),
    ],
)
async def test_fetch_with_wrong_arguments_rejects(
    functions: LocalFunctions, origin: str, arguments: str, message: str
) -> None:
    body = f"const promise = fetch({arguments}); return promise.catch((error) => String(error));"
    value = await (await _function(functions, origin, body)).value()
    assert isinstance(value, str)
    assert value.startswith(message)


async def test_fetch_at_top_level_does_not_compile(functions: LocalFunctions) -> None:
    source = "export const handle = () => 1;\nconst rates = await fetch('https://example.com');"
    message = await compile_error(functions, source)
    assert message.startswith(
        "Error: fetch cannot be used at top level: its response would be the same in every call. "
        "Use it in the function that is called\n    at"
    )
    assert "> 2 | const rates = await fetch('https://example.com');" in message


async def test_wait_until_waits_for_requests(functions: LocalFunctions, origin: str) -> None:
    source = f"""export default {{ fetch(request, env, ctx) {{
      ctx.waitUntil(fetch("{origin}/echo?wait=0.1").then((response) => console.log(response.status)));
      return new Response("early");
    }} }};"""
    outcome = await (await deployed(functions, source, reach=REACH)).call(get())
    assert outcome.response is not None
    assert (outcome.response.body, outcome.logs) == (b"early", "200")


async def test_response_of_fetch_is_passed_through(functions: LocalFunctions, origin: str) -> None:
    source = f"""export default {{ async fetch(request) {{
      const response = await fetch(`{origin}${{new URL(request.url).pathname}}`);
      return request.headers.has("changed") ? new Response(response.body, response) : response;
    }} }};"""
    function = await deployed(functions, source, reach=REACH)
    for given in (get("/cookies"), get("/cookies", changed="1")):
        response = await function.respond(given)
        assert (response.status, response.body) == (200, b"cap\xc3\xa9")
        assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1; Path=/", "b=2, 3"]


@pytest.mark.alone
async def test_requests_that_are_left_do_not_delay_the_answer(functions: LocalFunctions, origin: str) -> None:
    function = await _function(
        functions, origin, "const left = fetch(`${ORIGIN}/echo?wait=30`); await fetch(`${ORIGIN}/echo`); return 1;"
    )
    assert (await function.call(limits=_two_seconds(functions))).output == b"1"


async def test_request_that_outlives_the_time_limit(functions: LocalFunctions, origin: str) -> None:
    function = await _function(functions, origin, "await fetch(`${ORIGIN}/echo?wait=5`); return 1;")
    assert (await function.call(limits=_two_seconds(functions))).error == "time limit of 2s exceeded"


async def test_function_that_fetches_runs_in_a_thread_from_the_beginning(
    functions: LocalFunctions, origin: str
) -> None:
    """On the event loop it stops before its first request, and begins again."""
    body = "console.log('begins'); const { query } = await (await fetch(`${ORIGIN}/echo?n=${input.n}`)).json(); return query.n;"
    function = await _function(functions, origin, body)
    for number in range(12):
        outcome = await function.call(b'{"n": %d}' % number)
        assert (outcome.output, outcome.logs) == (b'"%d"' % number, "begins")


async def test_fetch_of_many_small_responses(functions: LocalFunctions, origin: str) -> None:
    body = """let sum = 0;
      for (let round = 0; round < 6; round++) {
        const all = await Promise.all([1, 2, 3].map((n) => fetch(`${ORIGIN}/echo?n=${n}`).then((response) => response.json())));
        for (const { query } of all) sum += Number(query.n);
      }
      return sum;"""
    assert await (await _function(functions, origin, body)).value() == 36
