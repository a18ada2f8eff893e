"""Request, Response, Headers and what bodies are made of, as the Fetch standard has them."""

import hmac

import pytest

from tests.helpers.local_functions import LocalFunctions

HEADERS = [
    ("[...new Headers({ b: '1', A: ' 2 ' })].join(';')", "a,2;b,1"),
    ("[...new Headers([['x', '1'], ['X', '2'], ['set-cookie', 'a'], ['set-cookie', 'b']])].join(';')", "set-cookie,a;set-cookie,b;x,1, 2"),
    ("new Headers([['set-cookie', 'a=1'], ['Set-Cookie', 'b=2']]).getSetCookie().join(';')", "a=1;b=2"),
    ("(() => { const h = new Headers(); h.append('a', '1'); h.append('A', 2); h.set('b', 'x'); h.set('a', 'y'); h.delete('B'); return [h.get('a'), h.has('b'), h.get('c')]; })()", ["y", False, None]),
    ("new Headers(new Headers({ a: '1' })).get('A')", "1"),
    ("(() => { const h = new Headers({ a: '1' }); const seen = []; h.forEach((value, name, all) => seen.push(name, value, all === h)); return seen; })()", ["a", "1", True]),
    ("[...new Headers({ b: '1', a: '2' }).keys()].concat([...new Headers({ a: '3' }).values()]).join()", "a,b,3"),
    ("new Headers(new Map([['a', '1']])).get('a')", "1"),
    ("new Headers({ a: 'cap\\u00e9' }).get('a')", "cap\u00e9"),
    ("[new Headers(undefined).has('a'), Object.prototype.toString.call(new Headers())]", [False, "[object Headers]"]),
]  # fmt: skip

RESPONSES = [
    ("[r.status, r.ok, r.statusText, r.type, r.url, r.redirected, r.bodyUsed, await r.text(), r.bodyUsed]", "'hi'", [200, True, "", "default", "", False, False, "hi", True]),
    ("[r.headers.get('content-type'), r.body instanceof ReadableStream]", "'hi'", ["text/plain;charset=UTF-8", True]),
    ("[r.headers.get('content-type'), r.body, await r.text()]", "null", [None, None, ""]),
    ("[r.status, r.ok, r.statusText, r.headers.get('a'), r.headers.get('content-type')]", "'x', { status: 404, statusText: 'No', headers: { a: 'b', 'Content-Type': 'c/d' } }", [404, False, "No", "b", "c/d"]),
    ("await r.json()", "'{\"a\": [1]}'", {"a": [1]}),
    ("await r.text()", "'\\ufeff\\u00e9\\u{1f600}\\ud800'", "\u00e9\U0001f600\ufffd"),
    ("[...await r.bytes()]", "'\\u00e9'", [195, 169]),
    ("[...new Uint8Array(await r.arrayBuffer())]", "new Uint8Array([1, 2, 3]).subarray(1)", [2, 3]),
    ("[r.headers.get('content-type'), await r.text()]", "new Uint8Array([0xef, 0xbb, 0xbf, 0xc3, 0xa9, 0xff])", [None, "\u00e9\ufffd"]),
    ("await r.text()", "new Float32Array([0]).buffer", "\0\0\0\0"),
    ("[r.headers.get('content-type'), await r.text()]", "new URLSearchParams({ a: '1 2', b: '\\u00e9' })", ["application/x-www-form-urlencoded;charset=UTF-8", "a=1+2&b=%C3%A9"]),
    ("[r.headers.get('content-type'), await r.text()]", "new Blob(['a', new Uint8Array([98])], { type: 'Text/HTML' })", ["text/html", "ab"]),
    ("await r.text()", "{ toString: () => 'object' }", "object"),
    ("await (await r.blob()).text() + (await new Response('', { headers: { 'content-type': 'a/b' } }).blob()).type", "'hi'", "hia/b"),
    ("(() => { const c = r.clone(); return Promise.all([r.text(), c.text(), c.headers.get('a')]); })()", "'hi', { headers: { a: 'b' } }", ["hi", "hi", "b"]),
    ("(async () => { const c = r.clone(); return [await c.text(), await r.text()]; })()", "new Blob(['abc']).stream()", ["abc", "abc"]),
    ("(async () => { let n = 0; for await (const chunk of r.body) n += chunk.length; return [n, r.bodyUsed]; })()", "'hello'", [5, True]),
    ("(async () => { const reader = r.body.getReader(); const first = await reader.read(); const second = await reader.read(); return [first.value.length, second.done]; })()", "'hello'", [5, True]),
    ("(async () => { const [a, b] = r.body.tee(); return [await new Response(a).text(), await new Response(b).text()]; })()", "'tea'", ["tea", "tea"]),
    ("(async () => { const { readable, writable } = new TransformStream({ transform: (chunk, out) => out.enqueue(new TextEncoder().encode(new TextDecoder().decode(chunk).toUpperCase())) }); r.body.pipeTo(writable); return new Response(readable).text(); })()", "'loud'", "LOUD"),
    ("[Response.json({ a: 1 }).headers.get('content-type'), await Response.json([1], { status: 201, headers: { x: 'y' } }).text(), Response.json(1, { headers: { 'content-type': 'a/b' } }).headers.get('content-type')]", "''", ["application/json", "[1]", "a/b"]),
    ("[Response.redirect('https://example.org/a b').headers.get('location'), Response.redirect('https://a/', 307).status, Response.error().type, Response.error().status]", "''", ["https://example.org/a%20b", 307, "error", 0]),
    ("[new Response(null, { status: 204 }).body, new Response(r.body, r).headers.get('a'), r instanceof Response]", "'x', { headers: { a: 'b' } }", [None, "b", True]),
]  # fmt: skip

REQUESTS = [
    ("[r.method, r.url, r.redirect, r.body, r.bodyUsed, r.signal.aborted]", "'https://example.org/a/../b?c#d'", ["GET", "https://example.org/b?c", "follow", None, False, False]),
    ("[r.method, r.headers.get('content-type'), await r.text()]", "'https://a/', { method: 'post', body: 'x' }", ["POST", "text/plain;charset=UTF-8", "x"]),
    ("[r.method, r.headers.get('a'), r.redirect]", "new URL('https://a/'), { method: 'Custom', headers: [['a', 'b']], redirect: 'manual' }", ["Custom", "b", "manual"]),
    ("(() => { const n = new Request(r, { method: 'PUT' }); return n.text().then((text) => [n.method, n.url, n.headers.get('a'), text, r.bodyUsed]); })()", "'https://a/', { method: 'POST', body: 'x', headers: { a: 'b' } }", ["PUT", "https://a/", "b", "x", True]),
    ("(() => { const c = r.clone(); return Promise.all([c.text(), r.text(), c.url]); })()", "'https://a/', { method: 'POST', body: 'x' }", ["x", "x", "https://a/"]),
    ("(() => { const c = new AbortController(); const n = new Request(r, { signal: c.signal }); c.abort('why'); return [n.signal.aborted, n.signal.reason]; })()", "'https://a/'", [True, "why"]),
    ("[...(await r.formData())].join(';')", "'https://a/', { method: 'POST', body: new URLSearchParams('a=1&b=2&a=3') }", "a,1;b,2;a,3"),
]  # fmt: skip

FORMS = [
    ("(() => { const f = new FormData(); f.append('a', 1); f.append('a', '2'); f.set('b', 'x'); f.set('b', 'y'); return [f.get('a'), f.getAll('a'), f.get('b'), f.has('c'), f.get('c'), [...f.keys()].join()]; })()", ["1", ["1", "2"], "y", False, None, "a,a,b"]),
    ("(() => { const f = new FormData(); f.append('a', 1); f.append('b', 2); f.delete('a'); return [...f].join(); })()", "b,2"),
    ("(async () => { const f = new FormData(); f.append('text \"1\"', 'one\\ntwo'); f.append('file', new File([new Uint8Array([13, 10, 45, 45, 0, 255])], 'a\\nb.bin', { type: 'a/b' })); const r = await new Response(f).formData(); const file = r.get('file'); return [r.get('text \"1\"'), file.name, file.type, [...await file.bytes()], file instanceof Blob]; })()", ["one\r\ntwo", "a\nb.bin", "a/b", [13, 10, 45, 45, 0, 255], True]),
    ("(async () => { const f = new FormData(); f.append('empty', ''); f.append('blob', new Blob(['x'])); const r = await new Response(f).formData(); return [r.get('empty'), r.get('blob').name, r.get('blob').type]; })()", ["", "blob", "application/octet-stream"]),
    ("(async () => (await new Response('--x\\r\\ncontent-disposition: form-data; name=a\\r\\n\\r\\n1\\r\\n--x\\r\\nContent-Disposition: form-data; name=\"b\"; filename=\"c.txt\"\\r\\n\\r\\n\\r\\n--x--', { headers: { 'content-type': 'multipart/form-data; boundary=\"x\"' } }).formData()).get('b').size)()", 0),
    ("(async () => { const b = new Blob(['hello'], { type: 'a/b' }); const s = b.slice(1, 3, 'c/d'); return [b.size, await s.text(), s.type, await b.slice(-2).text()]; })()", [5, "el", "c/d", "lo"]),
]  # fmt: skip

EVENTS = [
    ("(() => { const c = new AbortController(); const seen = []; c.signal.addEventListener('abort', (e) => seen.push(e.type, e.target === c.signal)); c.signal.onabort = () => seen.push('on'); c.abort(); c.abort(); return [seen, c.signal.aborted, c.signal.reason.name]; })()", [["on", "abort", True], True, "AbortError"]),
    ("(() => { try { AbortSignal.abort().throwIfAborted(); } catch (error) { return error instanceof DOMException; } })()", True),
    ("(async () => { const s = AbortSignal.timeout(5); await new Promise((resolve) => s.addEventListener('abort', resolve)); return s.reason.name; })()", "TimeoutError"),
    ("(() => { const a = new AbortController(), s = AbortSignal.any([a.signal, new AbortController().signal]); a.abort(7); return [s.aborted, s.reason, AbortSignal.any([AbortSignal.abort(8)]).reason]; })()", [True, 7, 8]),
    ("(() => { const t = new EventTarget(), seen = []; const f = (e) => seen.push(e.detail); t.addEventListener('x', f); t.addEventListener('x', f); t.addEventListener('x', { handleEvent: () => seen.push('object') }, { once: true }); t.dispatchEvent(new CustomEvent('x', { detail: 1 })); t.removeEventListener('x', f); t.dispatchEvent(new Event('x')); return seen; })()", [1, "object"]),
    ("(() => { class T extends EventTarget {} const t = new T(); t.addEventListener('x', (e) => e.preventDefault()); return [t.dispatchEvent(new Event('x', { cancelable: true })), t.dispatchEvent(new Event('x'))]; })()", [False, True]),
]  # fmt: skip

# Statements that throw, and the message.
FAULTS = [
    ("new Headers({ 'a b': '1' })", 'TypeError: "a b" is not a name of a header'),
    ("new Headers({ a: 'x\\ny' })", "TypeError: the value of the header a has a character that headers cannot have"),
    ("new Headers({ a: '\\u20ac' })", "TypeError: the value of the header a has a character that headers cannot have"),
    ("new Headers([['a']])", "TypeError: Headers needs pairs of a name and a value"),
    ("new Headers('a')", "TypeError: Headers needs an object or a list of pairs"),
    ("new Response('x', { status: 99 })", "RangeError: the status of a Response is 99; accepted are 200 to 599"),
    ("new Response('x', { status: 204 })", "TypeError: a Response with the status 204 cannot have a body: pass null"),
    ("new Response('x', { statusText: 'a\\nb' })", "TypeError: statusText has a character"),
    ("Response.json(undefined)", "TypeError: Response.json cannot write a value of type undefined"),
    ("Response.redirect('https://a/', 200)", "RangeError: the status of a redirect is 200; accepted are 301"),
    ("Response.redirect('/relative')", "TypeError: Invalid URL: /relative"),
    ("const r = new Response('x'); await r.text(); await r.json()", "TypeError: the body of the Response was read already"),
    ("const r = new Response('x'); await r.text(); r.clone()", "TypeError: a Response whose body was read cannot be cloned"),
    ("const r = new Response('x'); r.body.getReader(); await r.text()", "TypeError: the body of the Response was read already"),
    ("await new Response('{').json()", "SyntaxError: "),
    ("await new Response('x').formData()", "TypeError: formData() needs a body of multipart/form-data"),
    ("await new Response('x', { headers: { 'content-type': 'multipart/form-data; boundary=y' } }).formData()", "TypeError: the multipart body has no closing boundary"),
    ("await new Response(new ReadableStream({ start(c) { c.enqueue('text'); c.close(); } })).text()", "TypeError: a stream of a body had a chunk of type string"),
    ("await new Response(new ReadableStream({ start(c) { c.error(new RangeError('broken')); } })).text()", "RangeError: broken"),
    ("new Request('nope')", "TypeError: Invalid URL: nope"),
    ("new Request('https://u:p@a/')", "TypeError: the URL of a request has a user name or a password"),
    ("new Request('https://a/', { method: 'CONNECT' })", 'TypeError: a request cannot have the method "CONNECT"'),
    ("new Request('https://a/', { body: 'x' })", "TypeError: a request with the method GET cannot have a body"),
    ("new Request('https://a/', { redirect: 'maybe' })", 'TypeError: redirect is "maybe"; accepted are follow, manual, error'),
    ("new AbortSignal()", "TypeError: Illegal constructor"),
    ("new CryptoKey()", "TypeError: Illegal constructor"),
    ("await crypto.subtle.importKey('raw', new Uint8Array(1), { name: 'AES-GCM' }, false, ['encrypt'])", "NotSupportedError: keys of AES-GCM are not supported; there is HMAC"),
    ("await crypto.subtle.importKey('raw', new Uint8Array(1), { name: 'HMAC', hash: 'MD5' }, false, ['sign'])", "NotSupportedError: the digest MD5 is not supported"),
    ("await crypto.subtle.importKey('raw', new Uint8Array(1), { name: 'HMAC', hash: 'SHA-1' }, false, [])", "SyntaxError: the usages of a key of HMAC are sign and verify"),
    ("const key = await crypto.subtle.importKey('raw', new Uint8Array(1), { name: 'HMAC', hash: 'SHA-1' }, false, ['verify']); await crypto.subtle.sign('HMAC', key, new Uint8Array())", "InvalidAccessError: the key was not imported for sign"),
    ("const key = await crypto.subtle.importKey('raw', new Uint8Array(1), { name: 'HMAC', hash: 'SHA-1' }, false, ['verify']); await crypto.subtle.exportKey('raw', key)", "InvalidAccessError: the key was imported as not extractable"),
]  # fmt: skip


async def _value(functions: LocalFunctions, expression: str, statements: str = "") -> object:
    return await functions.value(f"export async function handle() {{ {statements} return await {expression}; }}")


@pytest.mark.parametrize(("expression", "value"), HEADERS)
async def test_headers_are_those_of_the_standard(functions: LocalFunctions, expression: str, value: object) -> None:
    assert await _value(functions, expression) == value


@pytest.mark.parametrize(("expression", "arguments", "value"), RESPONSES)
async def test_responses_are_those_of_the_standard(
    functions: LocalFunctions, expression: str, arguments: str, value: object
) -> None:
    assert await _value(functions, expression, f"const r = new Response({arguments});") == value


@pytest.mark.parametrize(("expression", "arguments", "value"), REQUESTS)
async def test_requests_are_those_of_the_standard(
    functions: LocalFunctions, expression: str, arguments: str, value: object
) -> None:
    assert await _value(functions, expression, f"const r = new Request({arguments});") == value


@pytest.mark.parametrize(("expression", "value"), FORMS)
async def test_forms_are_those_of_the_standard(functions: LocalFunctions, expression: str, value: object) -> None:
    assert await _value(functions, expression) == value


@pytest.mark.parametrize(("expression", "value"), EVENTS)
async def test_events_are_those_of_the_standard(functions: LocalFunctions, expression: str, value: object) -> None:
    assert await _value(functions, expression) == value


@pytest.mark.parametrize(("statements", "message"), FAULTS)
async def test_fault_of_web_messages_is_explained(functions: LocalFunctions, statements: str, message: str) -> None:
    outcome = await functions.call(f"export async function handle() {{\n{statements};\n}}")
    assert outcome.error is not None
    assert outcome.error.startswith(message)


@pytest.mark.parametrize("algorithm", ["SHA-1", "SHA-256", "SHA-384", "SHA-512"])
async def test_subtle_hmac_of_known_text(functions: LocalFunctions, algorithm: str) -> None:
    source = f"""const bytes = (text) => new TextEncoder().encode(text);
    export async function handle() {{
      const key = await crypto.subtle.importKey("raw", bytes("key"), {{ name: "HMAC", hash: "{algorithm}" }}, true, ["sign", "verify"]);
      const made = await crypto.subtle.sign("HMAC", key, bytes("data"));
      const jwk = await crypto.subtle.exportKey("jwk", key);
      const again = await crypto.subtle.importKey("jwk", jwk, {{ name: "HMAC", hash: {{ name: "{algorithm}" }} }}, false, ["sign"]);
      const wrong = new Uint8Array(made).with(0, new Uint8Array(made)[0] ^ 1);
      return [
        new Uint8Array(made).toHex(),
        new Uint8Array(await crypto.subtle.sign({{ name: "HMAC" }}, again, bytes("data"))).toHex() === new Uint8Array(made).toHex(),
        await crypto.subtle.verify("HMAC", key, made, bytes("data")),
        await crypto.subtle.verify("HMAC", key, wrong, bytes("data")),
        await crypto.subtle.verify("HMAC", key, made.slice(1), bytes("data")),
        [key.type, key.algorithm.name, key.algorithm.hash.name, key.extractable, again.extractable, jwk.k],
      ];
    }}"""
    assert await functions.value(source) == [
        hmac.digest(b"key", b"data", algorithm.replace("-", "")).hex(),
        True,
        True,
        False,
        False,
        ["secret", "HMAC", algorithm, True, False, "a2V5"],
    ]
