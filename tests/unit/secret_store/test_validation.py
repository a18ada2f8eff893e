"""What is accepted of a secret."""

import re

import pytest

from faas.errors import InvalidRequest, PayloadTooLarge
from faas.secret_store.validation import (
    VALUE_LIMIT_BYTES,
    check_name,
    check_value,
    parse_functions,
    parse_hosts,
)


@pytest.mark.parametrize("name", ["A", "_", "STRIPE_KEY", "a1", "x" * 64])
def test_check_name_accepts_names_of_variables(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A.B", "A B", "A\n", "Ä", "A\0", "x" * 65])
def test_check_name_refuses_others(name: str) -> None:
    with pytest.raises(InvalidRequest, match="is not the name of a secret: 1 to 64 of A-Z a-z 0-9 _"):
        check_name(name)


@pytest.mark.parametrize("value", ["x", " ", "a\nb\r\n", "é" * (VALUE_LIMIT_BYTES // 2)])
def test_check_value_accepts_text(value: str) -> None:
    check_value(value)


@pytest.mark.parametrize(
    ("value", "kind", "error"),
    [
        ("", InvalidRequest, "value: it is empty"),
        ("top\0secret", InvalidRequest, "value: it has a NUL character"),
        ("top\ud800secret", InvalidRequest, "value: it has a lone surrogate"),
        ("topsecret" + "é" * (VALUE_LIMIT_BYTES // 2), PayloadTooLarge, "value: it has 65545 bytes; accepted are"),
    ],
)
def test_check_value_refuses_without_the_value(value: str, kind: type[InvalidRequest], error: str) -> None:
    with pytest.raises(kind, match=re.escape(error)) as refused:
        check_value(value)
    assert "top" not in str(refused.value)


def test_parse_hosts_gives_origins_as_requests_name_them() -> None:
    assert parse_hosts(None) is None
    assert parse_hosts(["HTTPS://API.Stripe.com:443", "https://api.stripe.com", "http://[::1]:9000"]) == (
        "https://api.stripe.com",
        "http://[::1]:9000",
    )


@pytest.mark.parametrize(
    "host",
    [
        "api.stripe.com",
        "*",
        "https://*",
        "https://*.stripe.com",
        "https://a/b",
        "https://u@a",
        "ftp://a",
        "https://a:x",
        "",
    ],
)
def test_parse_hosts_refuses_what_is_no_origin(host: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(f"hosts: {host!r} is not accepted; accepted is an origin")):
        parse_hosts([host])


@pytest.mark.parametrize("count", [0, 21])
def test_parse_hosts_has_1_to_20(count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"hosts: {count} origins; accepted are 1 to 20"):
        parse_hosts([f"https://h{number}" for number in range(count)])


def test_parse_functions_may_be_empty() -> None:
    assert parse_functions([]) == ()
    assert parse_functions(["orders-*", "mail", "mail"]) == ("orders-*", "mail")
    with pytest.raises(InvalidRequest, match="functions: 'a b' is not a pattern of names"):
        parse_functions(["a b"])
    with pytest.raises(InvalidRequest, match="functions: 101 patterns; accepted are 0 to 100"):
        parse_functions([f"f{number}" for number in range(101)])
