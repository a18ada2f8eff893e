"""Where outbound requests lead: the allow list, names and their addresses, redirects, and attempts to get around them."""

import ipaddress
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from faas.outbound import OutboundClient, OutboundRequest
from faas.outbound_patterns import Address
from tests.helpers.outbound_calls import FUNCTION, Guest, wait_until
from tests.helpers.raw_server import RawServer, ReceivedRequest, answer
from tests.helpers.support import free_port

PUBLIC = "93.184.216.34"


class Names:
    """A resolver: the addresses of names, of which each lookup takes the next list until the last one is left."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.lookups: list[str] = []

    def __call__(self, host: str) -> list[Address]:
        self.lookups.append(host)
        answers = self.answers.get(host)
        if answers is None:
            raise OSError(-2, "Name or service not known")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ipaddress.ip_address(address) for address in addresses]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def client(names: Names) -> Iterator[OutboundClient]:
    client = OutboundClient(resolve=names)
    yield client
    client.close()


def hello(_: ReceivedRequest) -> list[bytes]:
    return answer(b"hello")


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(hello) as server:
        yield server


def at(server: RawServer, host: str) -> str:
    return f"http://{host}:{server.port}"


def redirect(url: str, status: str = "302 Found") -> list[bytes]:
    return answer(b"elsewhere", status, Location=url)


def test_destination_that_is_not_listed_is_refused_with_the_command(client: OutboundClient, server: RawServer) -> None:
    guest = Guest(client, ["https://api.example.com"])
    assert guest.failure(f"{server.origin}/x?y") == (
        f"the request to {server.origin} is not allowed; `faas deploy … --outbound {server.origin}` allows it"
    )
    assert "--outbound http://api.example.com`" in guest.failure("http://api.example.com/")
    assert "--outbound https://api.example.com:8443`" in guest.failure("https://API.example.com:8443/")
    assert "not allowed" in Guest(client, []).failure(server.origin)
    assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{}", "http://localhost:{}", "http://[::1]:{}", "http://[::ffff:127.0.0.1]:{}",
        "http://127.0.0.2:{}", "http://0.0.0.0:{}", "http://[::]:{}", "http://[::127.0.0.1]:{}", "http://127.0.0.1.:{}",
        "http://2130706433:{}", "http://0x7f.1:{}", "http://0177.0.0.1:{}", "http://127.1:{}", "http://0:{}",
        "http://\uff11\uff12\uff17.0.0.1:{}", "http://127\u30020\u30020\u30021:{}", "http://user@127.0.0.1:{}",
        "http://93.184.216.34@127.0.0.1:{}", "http://127.0.0.1:{}\\@93.184.216.34", "http://%31%32%37.0.0.1:{}",
        "http://rebound.example:{}", "http://sub.localhost:{}", "http://metadata:{}", "http://mapped.example:{}",
        "http://nat64.example:{}", "http://sixtofour.example:{}", "http://169.254.169.254:{}",
        "http://[::ffff:169.254.169.254]:{}", "http://[fe80::1]:{}", "http://10.0.0.1:{}", "http://zero.example:{}",
    ],
)  # fmt: skip
def test_destination_is_never_private_for_any_origin(
    client: OutboundClient, names: Names, server: RawServer, url: str
) -> None:
    names.answers = {
        "rebound.example": [["127.0.0.1"]], "localhost": [["127.0.0.1", "::1"]], "sub.localhost": [["127.0.0.1"]],
        "metadata": [["169.254.169.254"]], "mapped.example": [["::ffff:127.0.0.1"]],
        "nat64.example": [["64:ff9b::7f00:1"]], "sixtofour.example": [["2002:7f00:1::"]], "zero.example": [["0.0.0.0"]],  # noqa: S104
    }  # fmt: skip
    Guest(client, ["*"], seconds=5).failure(url.format(server.port))
    assert server.connections == 0


def test_destination_that_the_list_names_may_be_private(
    client: OutboundClient, names: Names, server: RawServer
) -> None:
    names.answers = {"localhost": [["127.0.0.1"]], "internal.example": [["127.0.0.1"]]}
    for pattern, url in [
        (server.origin, server.origin),
        (at(server, "localhost"), at(server, "localhost")),
        ("127.0.0.0/8", server.origin),
        ("127.0.0.1/32", server.origin),
    ]:
        assert Guest(client, [pattern]).answer(url).body == b"hello"
        assert Guest(client, ["*", pattern]).answer(url).body == b"hello"
    assert (
        Guest(client, [at(server, "internal.example"), "127.0.0.0/8"]).answer(at(server, "internal.example")).status
        == 200
    )
    assert "--outbound 127.0.0.1/32`" in Guest(client, [at(server, "internal.example")]).failure(
        at(server, "internal.example")
    )
    assert "not allowed" in Guest(client, ["127.0.0.0/8"]).failure(at(server, "internal.example"))


def test_destination_localhost_is_loopback_only(client: OutboundClient, names: Names) -> None:
    names.answers = {"localhost": [["10.0.0.1"]]}
    assert "10.0.0.1" in Guest(client, ["http://localhost:9000"]).failure("http://localhost:9000")


def test_destination_in_ipv6_is_reached(client: OutboundClient) -> None:
    with RawServer(hello, address="::1") as server:
        assert Guest(client, [server.origin]).answer(server.origin).body == b"hello"
        assert server.requests[0].header("host") == f"[::1]:{server.port}"


def test_destination_has_the_address_that_was_judged(client: OutboundClient, names: Names, server: RawServer) -> None:
    # The name is looked up once for a request. A second answer, which a client that looks it up again to connect would
    # use, is never asked for.
    names.answers = {"rebinding.example": [[PUBLIC], ["127.0.0.1"]]}
    Guest(client, ["*"], seconds=2).failure(at(server, "rebinding.example"))
    assert names.lookups == ["rebinding.example"]
    Guest(client, ["*"], seconds=2).failure(at(server, "rebinding.example"))
    assert names.lookups == ["rebinding.example"] * 2
    assert server.connections == 0


def test_destination_is_the_first_admitted_address_that_accepts(
    client: OutboundClient, names: Names, server: RawServer
) -> None:
    with RawServer(hello, address="127.0.0.2") as other:  # its port is closed at the first address
        names.answers = {"several.example": [["10.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3"]]}
        guest = Guest(client, [at(other, "several.example"), "127.0.0.1/32", "127.0.0.2/32"])
        assert guest.answer(at(other, "several.example")).body == b"hello"
        assert other.requests[0].header("host") == f"several.example:{other.port}"
    assert server.connections == 0


def test_destination_that_refuses_or_does_not_exist_says_so(client: OutboundClient, names: Names) -> None:
    port = free_port()
    names.answers = {"closed.example": [["127.0.0.1", "127.0.0.2"]], "empty.example": [[]]}
    guest = Guest(client, ["*", "127.0.0.0/8"])
    assert guest.failure(f"http://closed.example:{port}") == f"http://closed.example:{port} refused the connection"
    assert guest.failure("http://unknown.example") == (
        "the name unknown.example cannot be resolved: Name or service not known"
    )
    assert guest.failure("http://empty.example") == "the name empty.example cannot be resolved: it has no address"


def test_destination_of_slow_names_leaves_other_functions_theirs(names: Names, server: RawServer) -> None:
    release = threading.Event()
    asked: list[str] = []

    def resolve(host: str) -> list[Address]:
        if host.startswith("slow"):
            asked.append(host)
            release.wait(20)
        return [ipaddress.ip_address("127.0.0.1")]

    client = OutboundClient(resolve=resolve)
    try:
        slow = [Guest(client, ["*"], seconds=20, function_id=function_id) for function_id in [uuid4()] * 5]
        for guest in slow:
            for number in range(20):
                guest.session.start(OutboundRequest("GET", f"http://slow{number}.example"))
        started = time.monotonic()
        other = Guest(client, [at(server, "quick.example"), "127.0.0.0/8"])
        assert other.answer(at(server, "quick.example")).body == b"hello"
        assert time.monotonic() - started < 5
        assert sum(thread.name == "outbound-resolver" for thread in threading.enumerate()) <= 4
        for guest in slow:
            guest.session.close()
        pools = client._pools
        wait_until(lambda: not any(pool.active for (key, _), pool in pools._pools.items() if key != FUNCTION))
        client.call(lambda: pools.close_idle(0))  # the lookups that run still count when the pool is forgotten
        again = Guest(client, ["*"], function_id=slow[0].session._function_id)
        again.session.start(OutboundRequest("GET", "http://slow.example"))
        assert other.answer(at(server, "quick.example")).body == b"hello"
        assert len(asked) == 4
        again.session.close()
    finally:
        release.set()
        client.close()


def test_redirects_are_followed_within_the_list(client: OutboundClient, server: RawServer) -> None:
    with RawServer(lambda _: redirect(f"{server.origin}/b?c#d")) as first:
        guest = Guest(client, [first.origin, server.origin])
        result = guest.answer(
            OutboundRequest("POST", f"{first.origin}/a", (("Authorization", "x"), ("Y", "y")), b"body")
        )
        assert (result.url, result.redirected, result.body) == (f"{server.origin}/b?c", True, b"hello")
        (received,) = server.requests
        assert (received.method, received.body) == ("GET", b"")
        assert (received.header("authorization"), received.header("y")) == (None, "y")
        assert received.header("host") == server.origin.removeprefix("http://")
        assert [record.url for record in guest.records] == [f"{first.origin}/a"]


def test_redirects_to_the_same_origin_keep_credentials(client: OutboundClient) -> None:
    with RawServer(
        lambda request: redirect("/b", "307 x") if request.target == "/a" else answer(request.body)
    ) as server:
        request = OutboundRequest("POST", f"{server.origin}/a", (("Cookie", "x"),), b"body")
        assert Guest(client, [server.origin]).answer(request).body == b"body"
        assert [received.header("cookie") for received in server.requests] == ["x", "x"]
        assert server.connections == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{}/", "//127.0.0.1:{}/", "http://localhost:{}/", "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:{}/", "http://[::ffff:127.0.0.1]:{}/", "http://2130706433:{}/", "http://0x7f000001:{}/",
        "http://private.example:{}/", "file:///etc/passwd", "gopher://127.0.0.1:{}/", "http://user@127.0.0.1:{}/",
        "http:\\\\127.0.0.1:{}/", "http://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1:{}/",
    ],
)  # fmt: skip
def test_redirects_never_lead_to_private_addresses(
    client: OutboundClient, names: Names, server: RawServer, location: str
) -> None:
    names.answers = {"private.example": [["127.0.0.1"]], "localhost": [["127.0.0.1"]]}
    with RawServer(lambda _: redirect(location.format(server.port))) as first:
        result = Guest(client, ["*", first.origin], seconds=3).fetch(first.origin)
        assert b"hello" not in getattr(result, "body", b"")
        assert server.connections == 0


def test_redirects_are_judged_by_the_list(client: OutboundClient, server: RawServer) -> None:
    with RawServer(lambda _: redirect(f"{server.origin}/?secret")) as first:
        message = Guest(client, [first.origin]).failure(first.origin)
        assert message.startswith(f"a redirect to {server.origin} is not allowed; ")
        assert server.connections == 0


def test_redirects_are_limited(client: OutboundClient) -> None:
    with RawServer(lambda _: redirect("/again")) as server:
        assert Guest(client, [server.origin]).failure(server.origin) == "more than 20 redirects"
        assert len(server.requests) == 21


def test_redirects_may_be_left_to_the_guest(client: OutboundClient, server: RawServer) -> None:
    with RawServer(lambda _: redirect(server.origin)) as first:
        guest = Guest(client, [first.origin, server.origin])
        result = guest.answer(OutboundRequest("GET", first.origin, redirect="manual"))
        assert (result.status, dict(result.headers)["location"], result.redirected) == (302, server.origin, False)
        assert "redirect" in guest.failure(OutboundRequest("GET", first.origin, redirect="error"))
        assert server.connections == 0
    with RawServer(lambda _: answer(b"", "302 Found")) as first:
        assert Guest(client, [first.origin]).answer(first.origin).status == 302
