"""Which hosts are accepted, by the address that the server listens on and by its settings."""

import pytest

from faas.api.hosts import HostPolicy

LOOPBACK = (b"localhost", b"LOCALHOST:8080", b"127.0.0.1:9000", b"[::1]:8080", b"127.0.0.53")
ALL = "0.0.0.0"  # noqa: S104
REBOUND = (
    b"evil.example",
    b"127.0.0.1.evil.example:8080",
    b"0.0.0.0:8080",
    b"10.0.0.5",
    b"",
    b"localhost@evil.example",
)


def accepted(policy: HostPolicy, *values: bytes) -> set[bytes]:
    twice = [{value for value in values if policy.accepts(value)} for _ in range(2)]
    assert twice[0] == twice[1]
    return twice[0]


@pytest.mark.parametrize("bound", ["127.0.0.1", "127.0.1.1", "::1", "localhost"])
def test_host_policy_on_loopback_accepts_loopback_only(bound: str) -> None:
    assert accepted(HostPolicy(bound, bound), *LOOPBACK, *REBOUND) == set(LOOPBACK)


def test_host_policy_on_loopback_accepts_the_setting_host_and_those_listed() -> None:
    policy = HostPolicy("127.0.1.1", "MyHost", ["faas.example.com", "2001:db8::1"])
    listed = {b"myhost:8080", b"faas.example.com", b"FAAS.example.com.:443", b"[2001:DB8::1]:80"}
    assert accepted(policy, *listed, *REBOUND, b"www.faas.example.com") == listed


@pytest.mark.parametrize("bound", [ALL, "::", "10.0.0.5"])
def test_host_policy_elsewhere_accepts_every_valid_host(bound: str) -> None:
    assert accepted(HostPolicy(bound, bound), *LOOPBACK, *REBOUND) == {*LOOPBACK, *REBOUND[:-1]}


def test_host_policy_elsewhere_accepts_those_listed_where_there_are_some() -> None:
    policy = HostPolicy(ALL, ALL, ["faas.example.com"])
    assert accepted(policy, b"faas.example.com", *LOOPBACK, *REBOUND) == {b"faas.example.com", *LOOPBACK}
    policy = HostPolicy("10.0.0.5", "10.0.0.5", ["faas.example.com"])
    assert accepted(policy, b"10.0.0.5:8080", b"10.0.0.6") == {b"10.0.0.5:8080"}


def test_host_policy_remembers_a_bounded_number_of_headers() -> None:
    policy = HostPolicy("127.0.0.1")
    assert all(policy.accepts(b"localhost:%d" % port) for port in range(2000))
    assert len(policy._cache) < 100
