"""The head of a request: what the guest may give, and what the host sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.outbound import HostSecret, OutboundRequest
from faas.outbound.heads import checked, redirected, wire_headers
from faas.outbound.model import MAX_BODY_BYTES, Headers, RequestFailed
from faas.outbound.secret_values import SecretValues
from faas.outbound_patterns import Origin

ORIGIN = Origin("https", "api.example.com", 8443)
NO_SECRETS = SecretValues([])


def request(method: str = "GET", headers: Headers = (), body: bytes = b"") -> OutboundRequest:
    return OutboundRequest(method, "https://api.example.com:8443/", headers, body)


def wire(asked: OutboundRequest, secrets: SecretValues = NO_SECRETS) -> dict[bytes, bytes]:
    return dict(wire_headers(checked(asked), ORIGIN, secrets)[0])


def test_wire_headers_have_what_the_guest_lacks() -> None:
    assert wire(request()) == {
        b"host": b"api.example.com:8443",
        b"accept": b"*/*",
        b"accept-encoding": b"gzip, deflate",
        b"user-agent": b"faas",
    }
    given = request("POST", (("Accept", "text/html"), ("X", " é\t")), b"abc")
    assert wire(given)[b"accept"] == b"text/html"
    assert wire(given)[b"x"] == "é".encode("latin-1")
    assert wire(given)[b"content-length"] == b"3"
    assert wire(request("PUT"))[b"content-length"] == b"0"


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect",
     "Proxy-Authorization", "Proxy-Connection"],
)  # fmt: skip
def test_wire_headers_leave_out_those_of_the_connection(name: str) -> None:
    assert b"evil" not in wire(request("POST", ((name, "evil"),), b"x")).values()
    assert wire(request("POST", ((name, "evil"),), b"x"))[b"host"] == b"api.example.com:8443"


@pytest.mark.parametrize(
    "headers",
    [
        (("x\r\ny", "1"),), (("x y", "1"),), (("", "1"),), (("x:", "1"),), (("é", "1"),), (("x\0", "1"),),
        (("x", "a\r\nevil: 1"),), (("x", "a\n"),), (("x", "\r"),), (("x", "a\0b"),), (("x", "a\x7f"),),
        (("x", "a\x01"),), (("x", "€"),), (("x", "\ud800"),), (("x", "1"),) * 201, (("x", "1" * (64 << 10)),),
    ],
)  # fmt: skip
def test_checked_refuses_headers_that_are_none(headers: Headers) -> None:
    with pytest.raises(RequestFailed, match="header"):
        checked(request(headers=headers))


@pytest.mark.parametrize(
    "method", ["CONNECT", "connect", "TRACE", "Track", "", "GET x", "GET\r\n", "G(", "é", "X" * 33]
)
def test_checked_refuses_methods(method: str) -> None:
    with pytest.raises(RequestFailed, match="method"):
        checked(request(method))


def test_checked_normalizes_methods_as_fetch_does() -> None:
    assert [checked(request(method)).method for method in ("get", "Post", "patch", "foo")] == [
        "GET",
        "POST",
        "PATCH",
        "foo",
    ]


def test_checked_limits_the_body() -> None:
    checked(request("POST", body=bytes(MAX_BODY_BYTES)))
    with pytest.raises(RequestFailed, match="6 MiB"):
        checked(request("POST", body=bytes(MAX_BODY_BYTES + 1)))


@pytest.mark.parametrize(
    ("method", "status", "after", "keeps_body"),
    [
        ("POST", 301, "GET", False), ("POST", 302, "GET", False), ("POST", 303, "GET", False),
        ("POST", 307, "POST", True), ("POST", 308, "POST", True), ("PUT", 301, "PUT", True), ("PUT", 302, "PUT", True),
        ("PUT", 303, "GET", False), ("HEAD", 303, "HEAD", True), ("GET", 303, "GET", True), ("DELETE", 303, "GET", False),
    ],
)  # fmt: skip
def test_redirected_changes_the_method_as_fetch_does(method: str, status: int, after: str, keeps_body: bool) -> None:
    headers = (("authorization", "a"), ("cookie", "c"), ("content-type", "text/plain"), ("x", "1"))
    follows = redirected(request(method, headers, b"body"), status, same_origin=True)
    assert (follows.method, follows.body) == (after, b"body" if keeps_body else b"")
    assert (("content-type", "text/plain") in follows.headers) is keeps_body
    assert {("authorization", "a"), ("cookie", "c"), ("x", "1")} <= set(follows.headers)


def test_redirected_drops_credentials_for_another_origin() -> None:
    headers = (("authorization", "a"), ("cookie", "c"), ("x", "1"))
    assert redirected(request("GET", headers), 302, same_origin=False).headers == (("x", "1"),)


def test_wire_headers_have_secrets_that_the_origin_may_have() -> None:
    secrets = SecretValues([HostSecret("{{key}}", "s3cret", frozenset({ORIGIN}))])
    asked = checked(request(headers=(("Authorization", "Bearer {{key}}"), ("Accept-Encoding", "br"))))
    headers, with_secret = wire_headers(asked, ORIGIN, secrets)
    assert with_secret
    assert (b"authorization", b"Bearer s3cret") in headers
    assert (b"accept-encoding", b"gzip, deflate") in headers  # what cannot be decoded could hide the secret
    for other in (Origin("http", "api.example.com", 8443), Origin("https", "api.example.com", 443)):
        headers, with_secret = wire_headers(asked, other, secrets)
        assert not with_secret
        assert (b"authorization", b"Bearer {{key}}") in headers
        assert (b"accept-encoding", b"br") in headers


def test_wire_headers_refuse_secrets_that_inject_headers() -> None:
    secrets = SecretValues([HostSecret("{{key}}", "s3cret\r\nevil: 1", frozenset({ORIGIN}))])
    with pytest.raises(RequestFailed, match="'x' gets a secret") as refusal:
        wire(request(headers=(("x", "{{key}}"),)), secrets)
    assert "s3cret" not in str(refusal.value)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5), st.text(max_size=8))
def test_wire_headers_have_no_line_breaks(headers: list[tuple[str, str]], method: str) -> None:
    try:
        pairs, _ = wire_headers(checked(request(method, tuple(headers))), ORIGIN, NO_SECRETS)
    except RequestFailed:
        return
    assert [name for name, _ in pairs].count(b"host") == 1
    assert not set(b"".join(name + value for name, value in pairs)) & set(b"\r\n\0")
