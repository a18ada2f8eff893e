"""The contract fetch: what a Worker is, what it gets, and what it may return."""

import time

import msgspec
import pytest

from tests.helpers.guests import little_work
from tests.helpers.local_functions import LocalFunctions
from tests.helpers.web_calls import compile_error, deployed, get, post, request

HELLO = "return new Response(`${request.method} ${new URL(request.url).pathname}`);"
FORMS = {
    "method": f"export default {{ fetch(request, env, ctx) {{ {HELLO} }} }};",
    "async": f"export default {{ async fetch(request) {{ await null; {HELLO} }} }};",
    "arrow": f"export default {{ fetch: (request) => {{ {HELLO} }} }};",
    "variable": f"const worker = {{ fetch(request) {{ {HELLO} }} }};\nexport {{ worker as default }};",
    "instance": f"class App {{ #greet(request) {{ {HELLO} }} fetch(request) {{ return this.#greet(request); }} }}\nexport default new App();",
    "bound_property": f"class App {{ prefix = ''; fetch = (request) => {{ {HELLO} }}; }}\nexport default new App();",
    "with_others": f"export class Other {{}}\nexport default {{ fetch(request) {{ {HELLO} }}, scheduled() {{}} }};",
    "commonjs": f"module.exports = {{ fetch(request) {{ {HELLO} }} }};",
    "commonjs_default": f"exports.default = {{ fetch(request) {{ {HELLO} }} }};",
    "bundle": f"const m = {{ default: {{ fetch(request) {{ {HELLO} }} }} }};\nexport default m;",
    "service_worker": f"addEventListener('fetch', (event) => event.respondWith(answer(event.request)));\nasync function answer(request) {{ {HELLO} }}",
    "promise_of_another_kind": f"export default {{ fetch(request) {{ return {{ then(resolve) {{ resolve((() => {{ {HELLO} }})()); }} }}; }} }};",
}


@pytest.mark.parametrize("form", FORMS)
async def test_fetch_form_is_served(functions: LocalFunctions, form: str) -> None:
    function = await deployed(functions, FORMS[form])
    for _ in range(3):
        response = await function.respond(get("/a/b", "c=1"))
        assert (response.status, response.body) == (200, b"GET /a/b")
        assert response.headers == (("content-type", "text/plain;charset=UTF-8"),)


async def test_fetch_gets_the_whole_request(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        """export default { async fetch(request, env, ctx) {
          return Response.json({
            method: request.method, url: request.url, headers: [...request.headers], cookie: request.headers.get("Cookie"),
            body: [...await request.bytes()], used: request.bodyUsed, names: [typeof env, typeof ctx.waitUntil],
            kinds: [request instanceof Request, request.headers instanceof Headers], shown: String(request), country: request.cf.country ?? null,
          });
        } };""",
    )
    body = bytes(range(256))
    given = request(
        "PATCH", "/a%20b/", "q=%C3%A9&r", body, host="example.org", content_type="x/y", cookie="a=1", x_note="cap\xe9"
    )
    assert await function.value(given) == {
        "method": "PATCH",
        "url": "http://localhost:8080/a%20b/?q=%C3%A9&r",
        "headers": [["content-type", "x/y"], ["cookie", "a=1"], ["host", "example.org"], ["x-note", "cap\xe9"]],
        "cookie": "a=1",
        "body": list(body),
        "used": True,
        "names": ["object", "function"],
        "kinds": [True, True],
        "shown": "[object Request]",
        "country": None,
    }


async def test_execute_of_a_fetch_function_posts_the_input(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        """export default { async fetch(request) {
          const input = await request.json();
          if (input.fail) return new Response("no such order", { status: 404 });
          return Response.json({ input, method: request.method, type: request.headers.get("content-type") });
        } };""",
    )
    document = {"name": "\xe9 \U0001f600"}
    expected = {"input": document, "method": "POST", "type": "application/json"}
    assert await function.value(msgspec.json.encode(document)) == expected
    outcome = await function.call(b'{"fail": true}')
    assert outcome.error is not None
    assert "404" in outcome.error


BODIES = {
    "text": ("'h\\u00e9'", b"h\xc3\xa9"),
    "empty": ("null", b""),
    "empty_text": ("''", b""),
    "bytes": ("new Uint8Array([0, 255, 128]).subarray(1)", b"\xff\x80"),
    "buffer": ("new Uint8Array([1, 2]).buffer", b"\x01\x02"),
    "large": ("'x'.repeat(3 << 20)", b"x" * (3 << 20)),
    "lone_surrogate": ("'\\ud800'", "\ufffd".encode()),
    "blob": ("new Blob(['a', 'b'])", b"ab"),
    "parameters": ("new URLSearchParams('a=1')", b"a=1"),
    "stream": ("new ReadableStream({ async pull(c) { await null; c.enqueue(new Uint8Array([65])); c.close(); } })", b"A"),
    "stream_of_a_timer": ("new ReadableStream({ async start(c) { for (const n of [1, 2, 3]) { await new Promise((r) => setTimeout(r, 2)); c.enqueue(new Uint8Array([48 + n])); } c.close(); } })", b"123"),
    "body_of_the_request": ("request.body", b"given"),
    "body_of_a_response": ("new Response('inner').body", b"inner"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BODIES)
async def test_fetch_returns_a_body(functions: LocalFunctions, kind: str) -> None:
    expression, body = BODIES[kind]
    function = await deployed(
        functions, f"export default {{ fetch(request) {{ return new Response({expression}); }} }};"
    )
    for _ in range(2):
        assert (await function.respond(post(b"given"))).body == body


async def test_fetch_returns_status_and_repeated_headers(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        """export default { fetch() {
          const response = new Response("made", { status: 201, headers: { "X-One": "1" } });
          response.headers.append("Set-Cookie", "a=1; Path=/");
          response.headers.append("Set-Cookie", "b=2");
          response.headers.set("X-Note", "cap\\u00e9");
          return response;
        } };""",
    )
    response = await function.respond(get())
    assert response.status == 201
    assert response.headers == (
        ("x-one", "1"),
        ("content-type", "text/plain;charset=UTF-8"),
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2"),
        ("x-note", "cap\xe9"),
    )


async def test_this_of_fetch_is_the_default_export(functions: LocalFunctions) -> None:
    source = "export default { greeting: 'hi', fetch() { return new Response(this.greeting); } };"
    assert (await (await deployed(functions, source)).respond(get())).body == b"hi"


# Programs whose call fails: what fetch does, and the beginning of the message.
CALL_ERRORS = [
    ("", "TypeError: the function fetch returned undefined, needed is a Response"),
    ("return null", "TypeError: the function fetch returned null, needed is a Response"),
    ("return 'text'", "TypeError: the function fetch returned 'text', needed is a Response"),
    ("return { status: 200 }", "TypeError: the function fetch returned an object, needed is a Response"),
    ("return Response.error()", "TypeError: the function fetch returned Response.error(), which is no answer"),
    ("const r = new Response('x'); await r.text(); return r", "TypeError: the body of the Response was read already"),
    ("throw new RangeError('no')", "RangeError: no\n    at fetch (function.js:2:"),
    ("await new Promise(() => {})", "the function awaits a promise that never settles"),
    ("return new Response(new ReadableStream())", "the function awaits a promise that never settles"),
    ("return new Response(new ReadableStream({ pull() { throw new Error('broken'); } }))", "Error: broken"),
    ("return new Response('x'.repeat(7 << 20))", "output limit of 6 MiB exceeded"),
    ("for (;;);", "time limit of 2s exceeded"),
]


@pytest.mark.parametrize(("body", "message"), CALL_ERRORS)
async def test_fault_of_fetch_is_explained(functions: LocalFunctions, body: str, message: str) -> None:
    function = await deployed(functions, f"export default {{ async fetch(request, env, ctx) {{\n{body};\n}} }};")
    for given in (get(), b"{}"):
        limits = functions.limits_for(message)
        with little_work(limits, 2):
            outcome = await function.call(given, limits)
        assert outcome.error is not None
        assert outcome.error.startswith(message)


async def test_sync_fetch_that_throws_is_explained(functions: LocalFunctions) -> None:
    function = await deployed(functions, "export default { fetch() {\nthrow new Error('no');\n} };")
    assert (await function.call(get())).error == "Error: no\n    at fetch (function.js:2:11)"


COMPILE_ERRORS = [
    ("export const handler = () => 1;\nexport default { fetch() {} };", "TypeError: the module exports handler and default.fetch; export one of them"),
    ("export const handle = () => 1;\nexport default { fetch() {} };", "TypeError: the module exports handle and default.fetch; export one of them"),
    ("export default { fetch: 5 };", "TypeError: the module has no function to call: it exports fetch and default; needed is export function handle(input), a default function, export default { fetch(request, env, ctx) }"),
    ("addEventListener('scheduled', () => {});", "TypeError: the module has no function to call: it exports nothing"),
    ("const f = new FormData();\nnew Response(f);\nexport default { fetch() {} };", "Error: a FormData body cannot be used at top level"),
    ("AbortSignal.timeout(5);\nexport default { fetch() {} };", "Error: setTimeout cannot be used at top level"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "message"), COMPILE_ERRORS)
async def test_fetch_function_that_does_not_compile(functions: LocalFunctions, source: str, message: str) -> None:
    assert (await compile_error(functions, source)).startswith(message)


async def test_wait_until_keeps_the_run_going_on(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        """const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        export default { fetch(request, env, ctx) {
          ctx.passThroughOnException();
          ctx.waitUntil(sleep(40).then(() => { console.log("first"); ctx.waitUntil(sleep(5).then(() => console.log("second"))); }));
          ctx.waitUntil("no promise");
          return new Response("early");
        } };""",
    )
    for _ in range(3):
        began = time.perf_counter()
        outcome = await function.call(get())
        assert time.perf_counter() - began >= 0.045
        assert outcome.response is not None
        assert (outcome.response.body, outcome.logs, outcome.error) == (b"early", "first\nsecond", None)


async def test_wait_until_logs_what_fails(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        """export default { async fetch(request, env, ctx) {
          ctx.waitUntil(Promise.reject(new Error("lost")));
          ctx.waitUntil(new Promise(() => {}));
          return new Response("answer");
        } };""",
    )
    outcome = await function.call(get())
    assert outcome.response is not None
    assert outcome.response.body == b"answer"
    assert outcome.logs == (
        "error: A promise of waitUntil was rejected: Error: lost\n    at fetch (function.js:2:44)\n"
        "error: A promise of waitUntil never settles: no timer or request is pending that could settle it"
    )


async def test_wait_until_of_a_service_worker(functions: LocalFunctions) -> None:
    source = """addEventListener("fetch", { handleEvent(event) {
      event.waitUntil(Promise.resolve().then(() => console.log(event.type)));
      event.respondWith(new Response("listened"));
    } });"""
    outcome = await (await deployed(functions, source)).call(get())
    assert outcome.response is not None
    assert (outcome.response.body, outcome.logs) == (b"listened", "fetch")


async def test_fetch_shows_messages_as_node_does(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        """export default { fetch(request) {
          console.log(new Headers({ a: "b" }));
          console.log(request);
          const response = new Response("x", { status: 404 });
          console.log(response);
          return response;
        } };""",
    )
    logs = (await function.call(get(accept="*/*"))).logs
    assert logs is not None
    assert logs.splitlines()[0] == "Headers { a: 'b' }"
    assert "method: 'GET'" in logs
    assert "status: 404" in logs
    assert "accept: '*/*'" in logs


async def test_fetch_calls_find_nothing_of_each_other(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        """let calls = 0, kept = null;
        const shared = new Response("shared");
        export default { async fetch(request, env, ctx) {
          const found = [++calls, kept === null, shared.bodyUsed, env.KEPT === undefined];
          kept = request;
          env.KEPT = await shared.text();
          ctx.waitUntil(Promise.resolve());
          return Response.json([...found, await request.text()]);
        } };""",
    )
    for number in range(12):
        assert await function.value(post(f"body-{number}".encode())) == [1, True, False, True, f"body-{number}"]


async def test_body_of_six_megabytes_is_passed_through(functions: LocalFunctions) -> None:
    function = await deployed(
        functions,
        "export default { async fetch(request) { return new Response(await request.bytes(), { headers: { 'content-type': 'image/png' } }); } };",
    )
    body = bytes(range(256)) * (24 << 10)
    response = await function.respond(post(body))
    assert response.body == body
    assert response.headers == (("content-type", "image/png"),)
