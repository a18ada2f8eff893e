"""The address of a client behind proxies: what is believed of X-Forwarded-For, and what a client may have made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.client_address import ClientAddresses, parse_network

PROXIES = ("10.0.0.0/8", "fd00::/8", "127.0.0.1")
CLIENT = "203.0.113.7"


def of(peer: str | None, *forwarded: str, trusted: tuple[str, ...] = PROXIES) -> str:
    headers = [(b"host", b"faas"), *((b"x-forwarded-for", value.encode("latin-1")) for value in forwarded)]
    return ClientAddresses(trusted).of(None if peer is None else (peer, 5000), headers)


def test_client_address_without_trusted_proxies_is_the_peer() -> None:
    assert of(CLIENT, "1.1.1.1", trusted=()) == CLIENT
    assert of("127.0.0.1", "1.1.1.1", trusted=()) == "127.0.0.1"
    assert of("fe80::1%eth0", "1.1.1.1", trusted=()) == "fe80::1%eth0"
    assert of(None, "1.1.1.1") == ""


def test_client_address_of_a_peer_that_is_not_trusted_ignores_the_header() -> None:
    assert of(CLIENT, "1.1.1.1") == CLIENT
    assert of(CLIENT, "127.0.0.1") == CLIENT


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ((), "10.0.0.1"),  # the proxy itself, or one that sends no header
        (("",), "10.0.0.1"),
        ((CLIENT,), CLIENT),
        ((f"  {CLIENT}\t",), CLIENT),
        ((f"1.1.1.1, {CLIENT}",), CLIENT),  # the client has sent 1.1.1.1
        ((f"127.0.0.1, {CLIENT}",), CLIENT),  # the client pretends to be a proxy
        ((f"1.1.1.1, {CLIENT}, 10.0.0.2, 10.0.0.3",), CLIENT),  # three proxies
        (("1.1.1.1", CLIENT), CLIENT),  # two headers are one list
        ((CLIENT, "10.0.0.2"), CLIENT),
        (("10.9.9.9, 10.0.0.2",), "10.9.9.9"),  # the client is in a trusted network
        (("1.1.1.1, unknown",), "10.0.0.1"),  # nothing on the left of what cannot be read is believed
        (("1.1.1.1, unknown, 10.0.0.2",), "10.0.0.2"),
        ((f"1.1.1.1,, {CLIENT}",), CLIENT),
        (("1.1.1.1,",), "10.0.0.1"),
        (("1.1.1.1, 10.0.0.2\x00",), "10.0.0.1"),
        (("1.1.1.1, 0127.0.0.1",), "10.0.0.1"),  # octal for some
        (("1.1.1.1, 127.1",), "10.0.0.1"),
        (("1.1.1.1, 203.0.113.\xb2",), "10.0.0.1"),
        (("203.0.113.7:4711",), CLIENT),  # with a port, as some proxies write it
        (("203.0.113.7:port",), "10.0.0.1"),
        (("203.0.113.7:",), "10.0.0.1"),
        (("2001:db8::7",), "2001:db8::7"),
        (("[2001:db8::7]",), "2001:db8::7"),
        (("[2001:DB8:0::7]:4711",), "2001:db8::7"),
        (("[2001:db8::7",), "10.0.0.1"),
        (("[2001:db8::7]x",), "10.0.0.1"),
        ((f"::ffff:{CLIENT}",), CLIENT),
        ((f"1.1.1.1, {CLIENT}, ::ffff:10.0.0.2, fd00::2",), CLIENT),
        (("fe80::1%eth0",), "fe80::1"),
        (("for=203.0.113.7",), "10.0.0.1"),
        (('"203.0.113.7"',), "10.0.0.1"),
    ],
)
def test_client_address_behind_trusted_proxies(forwarded: tuple[str, ...], expected: str) -> None:
    assert of("10.0.0.1", *forwarded) == expected


def test_client_address_of_a_peer_in_ipv6() -> None:
    assert of("::ffff:10.0.0.1", CLIENT) == CLIENT
    assert of("fd00::1", CLIENT) == CLIENT
    assert of("fe80::1%eth0", CLIENT) == "fe80::1"
    assert of("2001:DB8::1", CLIENT) == "2001:db8::1"


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=4))
def test_client_address_is_never_what_only_the_client_wrote(made_up: list[str]) -> None:
    """The proxy appends the client's own address, whatever the client has sent."""
    assert of("10.0.0.1", *made_up, CLIENT) == CLIENT
    assert of("10.0.0.1", *made_up[:-1], ", ".join([*made_up[-1:], CLIENT])) == CLIENT


def test_client_address_of_a_long_header_is_found_at_its_end() -> None:
    assert of("10.0.0.1", "1.1.1.1," * 7000 + CLIENT) == CLIENT


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.5", "10.0.0.5/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("::1", "::1/128"),
        ("fd00::/8", "fd00::/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_parse_network_accepts_addresses_and_networks(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1/8", "10.0.0", "proxy.example", "0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "10.0.0.0/33", " "],
)
def test_parse_network_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_network(text)
