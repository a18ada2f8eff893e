"""The setting `outbound`: its forms, what they admit, and that hosts cannot be written in a way that evades it."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.outbound_patterns import (
    MAX_OUTBOUND_PATTERNS,
    NO_OUTBOUND,
    Origin,
    parse_host,
    parse_origin,
    parse_outbound,
)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("HTTPS://API.Example.COM.", "https://api.example.com"),
        ("https://api.example.com:443", "https://api.example.com"),
        ("https://api.example.com:8443", "https://api.example.com:8443"),
        ("http://api.example.com:80", "http://api.example.com"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://*.Example.com:8443", "https://*.example.com:8443"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("http://[2001:DB8::A]", "http://[2001:db8::a]"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://*.bücher.example", "https://*.xn--bcher-kva.example"),
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("https://api\u3002example\u3002com", "https://api.example.com"),
        ("https://_dmarc.example.com", "https://_dmarc.example.com"),
        ("*", "*"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("192.168.1.7/32", "192.168.1.7/32"),
        ("fd00::/8", "fd00::/8"),
        ("FD00:0::/8", "fd00::/8"),
    ],
)
def test_outbound_patterns_have_one_form(given: str, canonical: str) -> None:
    assert parse_outbound([given]).texts == (canonical,)
    assert parse_outbound([canonical, given]).texts == (canonical,)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "form of an origin"),
        ("api.example.com", "form of an origin"),
        ("ftp://example.com", "form of an origin"),
        ("https://", "form of an origin"),
        ("https://*", "form of an origin|neither a name"),
        ("https://example.com/", "form of an origin"),
        ("https://example.com/path", "form of an origin"),
        ("https://example.com?x", "form of an origin"),
        ("https://user@example.com", "form of an origin"),
        ("https://user:password@example.com", "form of an origin"),
        ("https://example.com:", "form of an origin"),
        ("https://example.com:0", "port 0"),
        ("https://example.com:65536", "port 65536"),
        ("https://example.com:-1", "form of an origin"),
        ("https://example.com:99999999", "form of an origin"),
        ("https://exa mple.com", "neither a name"),
        ("https://example..com", "neither a name"),
        ("https://.example.com", "neither a name"),
        ("https://a.*.example.com", "neither a name"),
        ("https://api*.example.com", "neither a name"),
        ("https://*.*.example.com", "neither a name"),
        ("https://*.127.0.0.1", r"\* before an address"),
        ("https://*.[::1]", r"\* before an address"),
        ("https://example.com\n", "neither a name"),
        ("https://example.com\\@evil.com", "form of an origin"),
        ("http://2130706433", "192.0.2.1"),
        ("http://0x7f.1", "192.0.2.1"),
        ("http://127.1", "192.0.2.1"),
        ("http://[::1%eth0]", "IPv6"),
        ("http://[127.0.0.1]", "IPv6"),
        ("http://[]", "IPv6"),
        ("https://" + "a" * 64 + ".com", "neither a name"),
        ("https://" + "ü" * 200, "domain name|neither a name"),
        ("https://" + "a." * 200 + "com", "300 characters"),
        ("10.0.0.0/33", "range"),
        ("10.0.0.1/8", "range"),
        ("fd00::1/8", "range"),
        ("fe80::%eth0/10", "range"),
        ("10/8", "range"),
        ("/", "range"),
    ],
)
def test_outbound_patterns_refuse_other_forms(given: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refusal:
        parse_outbound([given])
    assert "https://*.example.com" in str(refusal.value)
    assert len(str(refusal.value)) < 600


def test_outbound_patterns_are_limited_in_number() -> None:
    most = [f"https://a{number}.example" for number in range(MAX_OUTBOUND_PATTERNS)]
    assert len(parse_outbound([*most, *most]).texts) == MAX_OUTBOUND_PATTERNS
    with pytest.raises(ValueError, match="100 patterns"):
        parse_outbound([*most, "https://one-more.example"])


@pytest.mark.parametrize(
    ("pattern", "admitted", "refused"),
    [
        (
            "https://api.example.com",
            ["https://api.example.com", "https://API.example.com.:443"],
            [
                "http://api.example.com", "https://api.example.com:8443", "https://example.com",
                "https://a.api.example.com", "https://api.example.com.evil.com", "https://xapi.example.com",
            ],
        ),
        (
            "https://*.example.com",
            ["https://a.example.com", "https://a.b.example.com"],
            ["https://example.com", "https://notexample.com", "https://a.example.com:1", "http://a.example.com"],
        ),
        ("http://127.0.0.1:9000", ["http://127.0.0.1:9000"], ["http://127.0.0.1", "http://localhost:9000"]),
        ("http://localhost:9000", ["http://localhost:9000"], ["http://127.0.0.1:9000", "http://a.localhost:9000"]),
        ("10.0.0.0/8", ["http://10.1.2.3", "https://10.255.0.1:8443"], ["http://11.0.0.1", "http://internal.example"]),
        ("fd00::/8", ["http://[fd00::1]:8080"], ["http://[fe80::1]", "http://10.0.0.1"]),
        ("*", ["https://a.example", "http://a.example:81", "http://127.0.0.1", "http://[::1]"], []),
    ],
)  # fmt: skip
def test_outbound_patterns_admit_origins(pattern: str, admitted: list[str], refused: list[str]) -> None:
    patterns = parse_outbound([pattern])
    assert [text for text in admitted if not patterns.admits(parse_origin(text))] == []
    assert [text for text in refused if patterns.admits(parse_origin(text))] == []


@pytest.mark.parametrize(
    ("pattern", "origin", "address", "named"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", "127.0.0.1", True),
        ("http://127.0.0.1:9000", "http://name.example:9000", "127.0.0.1", True),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9001", "127.0.0.1", False),
        ("http://127.0.0.1:9000", "https://127.0.0.1:9000", "127.0.0.1", False),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000", "127.0.0.2", False),
        ("http://localhost:9000", "http://localhost:9000", "127.0.0.1", True),
        ("http://localhost:9000", "http://localhost:9000", "::1", True),
        ("http://localhost:9000", "http://localhost:9000", "10.0.0.1", False),
        ("http://localhost:9000", "http://localhost:9000", "::ffff:127.0.0.1", False),
        ("http://localhost:9000", "http://name.example:9000", "127.0.0.1", False),
        ("http://localhost:9000", "http://localhost:9001", "127.0.0.1", False),
        ("https://*.example.com", "https://a.example.com", "127.0.0.1", False),
        ("https://a.example.com", "https://a.example.com", "10.0.0.1", False),
        ("*", "http://127.0.0.1", "127.0.0.1", False),
        ("10.0.0.0/8", "https://name.example", "10.0.0.1", True),
        ("10.0.0.0/8", "https://name.example", "::ffff:10.0.0.1", False),
        ("10.0.0.0/8", "https://name.example", "192.168.0.1", False),
        ("fd00::/8", "https://name.example", "fd12::1", True),
        ("http://[::1]:9000", "http://[::1]:9000", "::1", True),
    ],
)
def test_outbound_patterns_name_addresses(pattern: str, origin: str, address: str, named: bool) -> None:
    patterns = parse_outbound([pattern])
    assert patterns.names_address(parse_origin(origin), ipaddress.ip_address(address)) is named


def test_outbound_patterns_admit_nothing_by_default() -> None:
    assert parse_outbound([]) == NO_OUTBOUND
    assert not NO_OUTBOUND.admits(Origin("https", "example.com", 443))


def test_outbound_patterns_are_equal_and_hashable_by_value() -> None:
    lists = [parse_outbound(["https://a.example", "10.0.0.0/8"]) for _ in range(2)]
    assert len({*lists}) == 1


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "017700000001", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.0x1",
        "0x7f.1", "127.0.0.01", "127.0.0.1.1", "256.0.0.1", "1.2.3.4.5", "999", "0x", "a.0x7f", "a.1", "\uff11\uff12\uff17.1",
        "\u2460\u2461\u2466.1", "127\u30021", "%31%32%37.0.0.1", "127.0.0.1%00", "[::1", "::1", "[::1]]", "[::1%lo]", "[:::1]", "", ".",
        "..", "a b", "a\tb", "a\nb", "a/b", "a@b", "a:1", "a#b", "a?b", "a\\b", "*", "a,b", "a'b", "xn--\u0301",
    ],
)  # fmt: skip
def test_parse_host_refuses_what_resolvers_read_in_their_own_way(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        parse_host(host)


@pytest.mark.parametrize(
    ("text", "host"),
    [("127.0.0.1.", "127.0.0.1"), ("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127.0.0.1"), ("127\u30020\u30020\u30021", "127.0.0.1"), ("[::FFFF:7f00:1]", "::ffff:127.0.0.1")],
)  # fmt: skip
def test_parse_host_gives_addresses_one_form(text: str, host: str) -> None:
    assert parse_host(text) in {host, str(ipaddress.ip_address(host))}


@given(st.text(max_size=40))
def test_parse_host_is_idempotent(text: str) -> None:
    try:
        host = parse_host(text)
    except ValueError:
        return
    assert host.isascii()
    assert parse_host(f"[{host}]" if ":" in host else host) == host


@given(st.ip_addresses(v=4))
def test_parse_host_keeps_ipv4_addresses(address: ipaddress.IPv4Address) -> None:
    assert parse_host(str(address)) == str(address)
    with pytest.raises(ValueError, match=r"192\.0\.2\.1"):
        parse_host(str(int(address)))
