"""URLs of outbound requests: what is read, in one form, and what is refused because readers differ about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.outbound.urls import MAX_URL_LENGTH, join_url, parse_url, recorded_text


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM/A?B#c", "https://example.com/A?B"),
        ("https://example.com:443/", "https://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://example.com#x", "https://example.com/"),
        ("https://example.com#@evil.com", "https://example.com/"),
        ("https://example.com/@x", "https://example.com/@x"),
        ("https://example.com?@evil.com", "https://example.com/?@evil.com"),
        ("https://example.com/a%20b?c=%2F", "https://example.com/a%20b?c=%2F"),
        ("https://example.com/é?ü", "https://example.com/%C3%A9?%C3%BC"),
        ("https://example.com/{a}|b", "https://example.com/%7Ba%7D%7Cb"),
        ("https://example.com/a\\b", "https://example.com/a%5Cb"),
        ("https://example.com/../a", "https://example.com/../a"),
        ("https://example.com//a", "https://example.com//a"),
        ("https://example.com/?a?b", "https://example.com/?a?b"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/"),
    ],
)
def test_parse_url_has_one_form(text: str, url: str) -> None:
    assert str(parse_url(text)) == url
    assert str(parse_url(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "//example.com", "example.com", "http:", "http:/example.com", "http:example.com", "http://", "http:///",
        "https://?x", "ftp://example.com", "file:///etc/passwd", "gopher://127.0.0.1", "javascript:alert(1)",
        "data:text/plain,x", "ws://example.com", "http+unix://x", "https://user@example.com",
        "https://user:pw@example.com", "https://@example.com", "https://example.com@127.0.0.1",
        "https://example.com:x", "https://example.com:", "https://example.com:0", "https://example.com:65536",
        "https://example.com:80:80", "https://example.com\\@127.0.0.1/", "https:\\\\example.com",
        "https://example.com\\.evil.com/", " https://example.com", "https://example.com ", "https://exa mple.com",
        "https://example.com/a b", "https://example.com/\r\nHost: x", "https://example.com/\n", "https://example.com/\0",
        "https://example.com/\t", "ht\ntps://example.com", "https://example.com/\u2028", "https://example.com/\x85",
        "https://\u200bexample.com", "https://example.com/\ud800", "http://2130706433/", "http://0x7f.1/",
        "http://0177.0.0.1/", "http://127.1/", "http://0/", "http://0x/", "http://1.2.3/", "http://127.0.0.1.1/",
        "http://[::1", "http://::1/", "http://[::1]x/", "http://[::1%25lo]/", "http://[fe80::1%eth0]/",
        "http://[127.0.0.1]/", "http://%31%32%37.0.0.1/", "http://localhost%00.example.com/", "http://a..b/",
        "http://.a/", "http://a*b/", "http://\u2460\u2461\u2466.1/", "http://169.254.43518/", "http://0251.0376.0251.0376/",
        "http://0xa9fea9fe/", "http://2852039166/", "http://169.254.169.254\\.example.com/",
    ],
)  # fmt: skip
def test_parse_url_refuses_what_readers_differ_about(text: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        parse_url(text)


def test_parse_url_limits_the_length() -> None:
    parse_url("https://a.example/" + "x" * (MAX_URL_LENGTH - 100))
    with pytest.raises(ValueError, match="16384"):
        parse_url("https://a.example/" + "x" * MAX_URL_LENGTH)
    with pytest.raises(ValueError, match="percent-encoded"):
        parse_url("https://a.example/" + "é" * (MAX_URL_LENGTH - 100))


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://a.example/b"),
        ("c?d", "https://a.example/x/c?d"),
        ("?d", "https://a.example/x/y?d"),
        ("", "https://a.example/x/y?q"),
        ("#f", "https://a.example/x/y?q"),
        ("../c", "https://a.example/c"),
        ("//b.example/c", "https://b.example/c"),
        ("http://b.example", "http://b.example/"),
        (" /b ", "https://a.example/b"),
        ("/é", "https://a.example/%C3%A9"),
    ],
)
def test_join_url_resolves_redirects(location: str, url: str) -> None:
    assert str(join_url(parse_url("https://a.example/x/y?q"), location)) == url


@pytest.mark.parametrize(
    "location", ["ftp://x", "file:///etc/passwd", "javascript:1", "http://u:p@b.example", "http:///", "x" * 20_000]
)  # fmt: skip
def test_join_url_refuses_other_redirects(location: str) -> None:
    with pytest.raises(ValueError, match="redirect"):
        join_url(parse_url("https://a.example/x/y?q"), location)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:password@example.com/x?secret#secret", "https://example.com/x"),
        ("https://a@b@example.com/", "https://example.com/"),
        ("nonsense?secret", "nonsense"),
        ("https://user:pass\nword@example.com", "https://example.com"),
    ],
)
def test_recorded_text_leaves_out_what_may_be_secret(text: str, shown: str) -> None:
    assert recorded_text(text) == shown
    try:
        parse_url(text)
    except ValueError as error:
        assert "secret" not in str(error)  # noqa: PT017
        assert "pass" not in str(error).removesuffix("a user name or a password; send them in the header Authorization")  # noqa: PT017


@given(st.text("htps:/\\@#?.[]%0127x-é \n*", max_size=30))
def test_parse_url_is_stable_and_has_no_user(rest: str) -> None:
    try:
        url = parse_url("http://" + rest)
    except ValueError:
        return
    assert parse_url(str(url)) == url
    assert str(url).isascii()
    assert "@" not in str(url.origin)
    assert url.target.startswith(b"/")
    assert not set(url.target) & set(b" \r\n\0")
