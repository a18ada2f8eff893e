"""Hosts and origins: as settings name them, and as clients send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.web_origin import host_of_header, is_loopback, parse_host, parse_origin


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("faas.example.com", "faas.example.com"),
        ("FAAS.Example.com.", "faas.example.com"),
        ("my_host-1", "my_host-1"),
        ("10.0.0.5", "10.0.0.5"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[::1]", "::1"),
    ],
)
def test_parse_host_returns_what_a_header_has(text: str, host: str) -> None:
    assert parse_host(text) == host
    header = f"[{host}]:8080" if ":" in host else f"{text}:8080"
    assert host_of_header(header.encode()) == host


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "neither a host name nor an address"),
        ("*.example.com", "neither a host name nor an address"),
        ("https://faas.example.com", "is a URL"),
        ("faas.example.com:8080", "has a port, which is not compared"),
        ("a b", "neither a host name nor an address"),
        ("faas..com", "neither a host name nor an address"),
        ("fäas.example", "neither a host name nor an address"),
    ],
)
def test_parse_host_refuses_the_rest(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_host(text)


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"localhost:8080", "localhost"),
        (b"LocalHost.", "localhost"),
        (b"[0:0::1]:80", "::1"),
        (b"faas:", "faas"),
        (b"", ""),
        (b"a b", None),
        (b"localhost:8080:1", None),
        (b"localhost:x", None),
        (b"::1", None),
        (b"[::1", None),
        (b"[::g]", None),
        (b"[1.2.3.4]", None),
        (b"user@localhost", None),
        (b"localhost/x", None),
        (b"localhost, evil.example", None),
        (b"\xe9", None),
    ],
)
def test_host_of_header(value: bytes, host: str | None) -> None:
    assert host_of_header(value) == host


@given(st.binary(max_size=50))
def test_host_of_header_returns_for_all_bytes(value: bytes) -> None:
    host = host_of_header(value)
    assert host is None or host == host.lower()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_is_loopback_accepts_localhost_and_its_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "::", "127.1", "2130706433", "10.0.0.1"],  # noqa: S104
)
def test_is_loopback_refuses_names_and_other_addresses(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.com:443", "https://app.example.com"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_parse_origin_returns_what_browsers_send(text: str, origin: str) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("*", "every web page"),
        ("null", "does not begin with http:// or https://"),
        ("app.example.com", "does not begin with http:// or https://"),
        ("ftp://app.example.com", "does not begin with http:// or https://"),
        ("https://", "does not begin with http:// or https://"),
        ("https://app.example.com/", "more than a scheme, a host and a port"),
        ("https://app.example.com?x", "more than a scheme, a host and a port"),
        ("https://user@app.example.com", "more than a scheme, a host and a port"),
        ("https://app.example.com:99999", "[Pp]ort"),
        ("https://*.example.com", "neither a host name nor an address"),
    ],
)
def test_parse_origin_refuses_the_rest(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_origin(text)
