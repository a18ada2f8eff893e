"""The client of the commands: where a token is sent, and what errors say about it."""

from collections.abc import Callable

import httpx
import pytest

from faas.access import token_text
from faas.cli.client import Client, ServerError
from faas.cli.credentials import Credentials
from faas.errors import ConfigurationError

TOKEN = str(token_text.generate())
URL = "https://faas.test"
NONE = Credentials(None, "FAAS_TOKEN is not set")
FOUND = Credentials(TOKEN, "FAAS_TOKEN")


def client(
    answer: Callable[[httpx.Request], httpx.Response], credentials: Credentials = FOUND, url: str = URL
) -> Client:
    return Client(url, credentials, httpx.MockTransport(answer))


def problem(status: int, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, json={"detail": "the detail"}, headers=headers)


def test_client_sends_the_token_with_every_request() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.headers.get("Authorization")))
        link = {"Link": '</functions?limit=200&cursor=b>; rel="next"'} if len(asked) == 1 else {}
        return httpx.Response(200, json=[{}], headers=link)

    assert client(answer).pages("/functions", 500) == [{}, {}]
    authorization = f"Bearer {TOKEN}"
    assert asked == [
        (f"{URL}/functions?limit=200", authorization),
        (f"{URL}/functions?limit=200&cursor=b", authorization),
    ]
    asked.clear()
    client(answer, NONE).call("GET", "/functions")
    assert asked == [(f"{URL}/functions", None)]


@pytest.mark.parametrize("link", ["https://other.test/f", "http://faas.test/f", "https://faas.test:444/f"])
def test_client_does_not_follow_a_link_to_another_origin(link: str) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=[1], headers={"Link": f'<{link}>; rel="next"'})

    with pytest.raises(ServerError, match="refers to another server"):
        client(answer).pages("/functions", 500)
    assert asked == [f"{URL}/functions?limit=200"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_client_does_not_follow_a_redirect(status: int) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status, headers={"Location": "https://other.test/functions"})

    with pytest.raises(ServerError, match=r"'https://other.test/functions', which is not followed"):
        client(answer).call("GET", "/functions")
    assert asked == [f"{URL}/functions"]


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://faas.test", True),
        ("http://192.0.2.1:8080", True),
        ("https://faas.test", False),
        ("http://localhost:8080", False),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
    ],
)
def test_client_warns_of_a_token_over_http(url: str, warned: bool, capsys: pytest.CaptureFixture[str]) -> None:
    client(problem(200), url=url)
    said = capsys.readouterr().err
    assert ("over http" in said) == warned
    assert TOKEN not in said
    client(problem(200), NONE, url)
    assert capsys.readouterr().err == ""


def test_client_refuses_a_user_beside_a_token() -> None:
    with pytest.raises(ConfigurationError, match="the URL has a user, and FAAS_TOKEN a token") as raised:
        client(problem(200), url="https://user:password@faas.test")
    assert "password" not in str(raised.value)
    client(problem(200), NONE, url="https://user:password@faas.test").call("GET", "/functions")


def test_client_says_what_to_do_about_the_token() -> None:
    asking = problem(401, **{"WWW-Authenticate": 'Bearer realm="faas"'})
    with pytest.raises(ServerError, match=r"asks for a token\. FAAS_TOKEN is not set: pass one in FAAS_TOKEN or ~"):
        client(asking, NONE).call("GET", "/functions")
    with pytest.raises(ServerError, match="does not admit the token in FAAS_TOKEN") as raised:
        client(asking).call("GET", "/functions")
    assert TOKEN not in str(raised.value)
    with pytest.raises(ServerError, match=r"^the detail; the one in FAAS_TOKEN does not allow it$"):
        client(problem(403)).call("GET", "/functions")
    with pytest.raises(ServerError, match=r"^the detail$"):  # of a proxy in front, which asks for something else
        client(problem(401)).call("GET", "/functions")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ConnectError("Connection refused"), "Connection refused. Is `faas serve` running? Pass another address"),
        (
            httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "wrong version number. The server does not speak TLS there; pass a URL that begins with http:// ",
        ),
        (
            httpx.RemoteProtocolError("Server disconnected without sending a response."),
            "without sending a response. If the server speaks TLS there, pass a URL that begins with https:// ",
        ),
        (
            httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            "if it is self-signed, or its authority is your own, name the file in FAAS_CA_FILE",
        ),
        (httpx.ReadError(""), "ReadError. Is `faas serve` running?"),
    ],
)
def test_client_says_what_to_do_where_there_is_no_answer(error: httpx.TransportError, message: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(ServerError) as raised:
        client(answer, url=f"{URL}/").call("GET", "/functions")
    assert str(raised.value).startswith(f"no answer from {URL}: ")
    assert message in str(raised.value)


def test_client_refuses_a_url_that_is_none() -> None:
    for url in ("ftp://faas.test", "http://[::1"):
        with pytest.raises(ConfigurationError, match="--url"):
            client(problem(200), url=url)
