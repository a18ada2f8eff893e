"""Outbound requests of functions in Python: faas.http, urllib.request and http.client."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from faas.runtime.reach import Reach
from tests.helpers.echo_server import echo_server
from tests.helpers.outbound import open_loopback_session
from tests.helpers.python_functions import PythonFunctions
from tests.helpers.support import free_port

REACH = Reach(open_session=open_loopback_session)
TOP_LEVEL = "a request at top level would be made once, when the function is deployed"


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The origin of a server that answers with what it gets."""
    with echo_server() as found:
        yield found


async def call(python: PythonFunctions, origin: str, body: str, *, imports: str = "from faas import http") -> Any:
    """Return what a function returns that has the origin of the server in `input`."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = f"{imports}\ndef handle(input):\n{lines}\n"
    return await python.call(source, origin, reach=REACH)


async def failure(
    python: PythonFunctions,
    origin: str,
    body: str,
    *,
    imports: str = "from faas import http",
    seconds: float | None = None,
) -> str:
    """Return the error of such a function, which may take at most `seconds`."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    source = f"{imports}\ndef handle(input):\n{lines}\n"
    return await python.failure(source, f'"{origin}"'.encode(), reach=REACH, seconds=seconds)


async def test_python_http_module_makes_requests(python: PythonFunctions, origin: str) -> None:
    body = (
        "r = http.get(f'{input}/a?type=text/plain;charset=latin-1&body=%E4', headers={'X-One': 'two'})\n"
        "assert r.ok and r.status == 200 and r.headers['Content-Type'].startswith('text/plain'), r\n"
        "assert r.headers.get_all('set-cookie') == ['a=1', 'b=2'] and 'X-None' not in r.headers\n"
        "posted = http.post(f'{input}/b', json={'ä': [1, None]}).json()\n"
        "form = http.post(f'{input}/c', data={'a': 'x y', 'b': [1, 2]}).json()\n"
        "text = http.put(f'{input}/d', data='ä').json()\n"
        "plain = http.request('patch', f'{input}/e', data=b'\\x00\\xff', headers=[('X', '1'), ('X', '2')]).json()\n"
        "return [r.text(), posted, form, text, plain, http.delete(input).status, http.head(input).body.decode()]\n"
    )
    for _ in range(3):
        text, posted, form, put, patched, deleted, nothing = await call(python, origin, body)
        assert text == "ä"
        assert (posted["method"], posted["path"], posted["body"].encode("latin-1")) == (
            "POST", "/b", '{"ä":[1,null]}'.encode(),
        )  # fmt: skip
        assert posted["headers"]["content-type"] == "application/json"
        assert (form["body"], form["headers"]["content-type"]) == (
            "a=x+y&b=1&b=2", "application/x-www-form-urlencoded",
        )  # fmt: skip
        assert (put["body"].encode("latin-1"), put["headers"]["content-type"]) == (
            "ä".encode(), "text/plain; charset=utf-8",
        )  # fmt: skip
        assert (patched["method"], patched["body"]) == ("PATCH", "\0ÿ")
        assert (deleted, nothing) == (200, "")


async def test_python_http_module_follows_redirects_or_not(python: PythonFunctions, origin: str) -> None:
    body = (
        "to = f'{input}/x?to={input}/y'\n"
        "followed, manual = http.get(to), http.get(to, redirect='manual')\n"
        "return [followed.status, followed.json()['path'], manual.status, manual.headers['location']]\n"
    )
    assert await call(python, origin, body) == [200, "/y", 302, f"{origin}/y"]


async def test_python_http_module_explains_what_it_gets_wrong(python: PythonFunctions, origin: str) -> None:
    refused = f"http://127.0.0.1:{free_port()}"
    error = await failure(python, refused, "http.get(input)")
    assert error.startswith(f"faas.http.RequestError: {refused} refused the connection")
    assert "line 3, in handle\n    http.get(input)" in error
    caught = "try: http.get(input)\nexcept OSError as error: return isinstance(error, http.RequestError)"
    assert await call(python, refused, caught) is True
    assert "a request has `json` or `data`, not both" in await failure(
        python, origin, "http.post(input, json=1, data='')"
    )


async def test_python_request_ends_at_its_timeout(python: PythonFunctions, origin: str) -> None:
    body = "try: http.get(f'{input}?wait=30', timeout=0.1)\nexcept TimeoutError as error: return str(error)"
    assert await call(python, origin, body) == "no response within the timeout of 0.1 s"


async def test_python_request_ends_at_the_time_limit(python: PythonFunctions, origin: str) -> None:
    error = await failure(python, origin, "http.get(f'{input}?wait=30')", seconds=1.5)
    assert re.match(r"time limit of 1.5s exceeded|faas.http.RequestError: no answer within the time limit", error)


@pytest.mark.alone
async def test_python_sleep_is_not_cut_by_a_response(python: PythonFunctions, origin: str) -> None:
    body = "http.get(input)\nbegan = time.monotonic()\ntime.sleep(0.2)\nreturn time.monotonic() - began\n"
    assert 0.2 <= float(str(await call(python, origin, body, imports="import time\nfrom faas import http"))) < 1


async def test_python_urllib_makes_requests(python: PythonFunctions, origin: str) -> None:
    imports = "import json, urllib.request, urllib.parse"
    body = (
        "with urllib.request.urlopen(input + '/a', timeout=30) as response:\n"
        "    read = json.load(response)\n"
        "    shown = [response.status, response.reason, response.getheader('Content-Type'), response.url]\n"
        "request = urllib.request.Request(input + '/b', data=b'x', headers={'X-Y': 'z'}, method='PUT')\n"
        "put = json.loads(urllib.request.urlopen(request).read())\n"
        "form = urllib.request.urlopen(input, urllib.parse.urlencode({'a': 1}).encode())\n"
        "opener = urllib.request.build_opener(urllib.request.HTTPHandler(), urllib.request.HTTPSHandler())\n"
        "chunked = urllib.request.Request(input, data=iter([b'ab', b'', b'c']), method='POST')\n"
        "lines = [line.decode() for line in opener.open(input + '?body=one%0Atwo')]\n"
        "return [read, shown, put, json.load(form), json.load(opener.open(chunked)), lines]\n"
    )
    for _ in range(3):
        read, shown, put, form, chunked, lines = await call(python, origin, body, imports=imports)
        assert read["method"] == "GET"
        assert read["headers"]["user-agent"] == "Python-urllib/3.14"
        assert shown == [200, "OK", "application/json", f"{origin}/a"]
        assert (put["method"], put["path"], put["body"], put["headers"]["x-y"]) == ("PUT", "/b", "x", "z")
        assert (form["method"], form["body"]) == ("POST", "a=1")
        assert form["headers"]["content-type"] == "application/x-www-form-urlencoded"
        assert chunked["body"] == "abc"
        assert lines == ["one\n", "two"]


async def test_python_urllib_raises_its_usual_errors(python: PythonFunctions, origin: str) -> None:
    imports = "import urllib.request, urllib.error"
    body = (
        "found = []\n"
        "try: urllib.request.urlopen(input + '?status=418&body=tea')\n"
        "except urllib.error.HTTPError as error: found += [error.code, error.read().decode(), error.headers['content-type']]\n"
        "try: urllib.request.urlopen('http://127.0.0.1:1/')\n"
        "except urllib.error.URLError as error: found += [str(error.reason)]\n"
        "try: urllib.request.urlopen(input + '?wait=30', timeout=0.05)\n"
        "except (urllib.error.URLError, TimeoutError) as error: found += [isinstance(error.reason, TimeoutError)]\n"
        "return found\n"
    )
    code, read, kind, reason, timeout = await call(python, origin, body, imports=imports)
    assert (code, read, kind, timeout) == (418, "tea", "application/json", True)
    assert "http://127.0.0.1:1 refused the connection" in reason
    error = await failure(python, origin, "urllib.request.urlopen(input + '?status=404')", imports=imports)
    assert error.startswith("urllib.error.HTTPError: HTTP Error 404: Not Found")


async def test_python_urllib_follows_redirects_and_keeps_credentials_for_their_origin(
    python: PythonFunctions, origin: str
) -> None:
    with echo_server() as other:
        imports = "import json, urllib.request, urllib.error"
        body = (
            "def headers(target):\n"
            "    request = urllib.request.Request(f'{input}/?to={target}', headers={'Authorization': 'x', 'Cookie': 'c', 'X': 'y'})\n"
            "    return json.load(urllib.request.urlopen(request))['headers']\n"
            "class Stay(urllib.request.HTTPRedirectHandler):\n"
            "    def redirect_request(self, *arguments): return None\n"
            "try: urllib.request.build_opener(Stay).open(f'{input}/?to={input}')\n"
            "except urllib.error.HTTPError as error: stayed = error.code\n"
            f"return [headers(input + '/same'), headers('{other}'), stayed]\n"
        )
        same, foreign, stayed = await call(python, origin, body, imports=imports)
    assert (same["authorization"], same["cookie"], same["x"]) == ("x", "c", "y")
    assert "authorization" not in foreign
    assert "cookie" not in foreign
    assert foreign["x"] == "y"
    assert stayed == 302


async def test_python_http_client_makes_requests(python: PythonFunctions, origin: str) -> None:
    body = (
        "connection = http.client.HTTPConnection(input.removeprefix('http://'), timeout=30)\n"
        "found = []\n"
        "for body in ('', 'text', io.BytesIO(b'file')):\n"
        "    connection.request('POST', '/a?b=1', body=body, headers={'Content-Type': 'text/plain'})\n"
        "    response = connection.getresponse()\n"
        "    found.append([response.status, json.loads(response.read())])\n"
        "connection.putrequest('PUT', '/parts')\n"
        "connection.putheader('Content-Length', '4')\n"
        "connection.putheader('X', 'a', 'b')\n"
        "connection.endheaders()\n"
        "connection.send(b'ab')\nconnection.send(b'cd')\n"
        "found.append([response.status, json.load(connection.getresponse())])\n"
        "connection.request('HEAD', '/')\n"
        "response = connection.getresponse()\n"
        "return [found, int(response.getheader('content-length')) > 0, response.read().decode()]\n"
    )
    found, has_length, empty = await call(python, origin, body, imports="import http.client, io, json")
    assert [echoed["body"] for _, echoed in found] == ["", "text", "file", "abcd"]
    assert found[0][1]["headers"]["host"] == origin.removeprefix("http://")
    assert found[3][1]["headers"]["x"].split() == ["a", "b"]
    assert has_length
    assert empty == ""


async def test_python_http_client_says_that_there_are_no_proxies(python: PythonFunctions, origin: str) -> None:
    imports = "import os, urllib.request, http.client"
    body = "os.environ['http_proxy'] = 'http://127.0.0.1:1'\nreturn urllib.request.urlopen(input).status"
    assert await call(python, origin, body, imports=imports) == 200
    body = "c = http.client.HTTPSConnection('127.0.0.1')\nc.set_tunnel('example.org')\nc.request('GET', '/')"
    assert "functions reach servers directly: a proxy cannot be used" in await failure(
        python, origin, body, imports=imports
    )


@pytest.mark.parametrize(
    "line",
    [
        "from faas import http; http.get('http://example.org')",
        "import urllib.request; urllib.request.urlopen('https://example.org')",
        "import http.client; http.client.HTTPSConnection('example.org').request('GET', '/')",
    ],
)
async def test_python_request_at_top_level_is_refused(python: PythonFunctions, line: str) -> None:
    diagnostics = await python.diagnostics(f"{line}\ndef handle(input): return 1\n")
    assert TOP_LEVEL in diagnostics
    assert "make it in the handler (function.py:1:" in diagnostics


@pytest.mark.parametrize("package", ["requests", "httpx", "aiohttp", "urllib3"])
async def test_python_says_what_to_use_for_requests(python: PythonFunctions, package: str) -> None:
    expected = "make HTTP requests with `from faas import http`, or with urllib.request"
    assert expected in await python.diagnostics(f"import {package}\n")
    assert expected in await python.failure("import socket\ndef handle(input): socket.create_connection(('a', 1))\n")


async def test_python_request_has_no_effect_on_the_next_call(python: PythonFunctions, origin: str) -> None:
    body = "first = not hasattr(http, 'kept')\nhttp.kept = http.get(input)\nreturn first"
    assert [await call(python, origin, body) for _ in range(6)] == [True] * 6
