"""The settings of a function: what is accepted, and their canonical form."""

import re

import msgspec
import pytest

from faas.errors import InvalidRequest
from faas.function_settings import (
    NO_LIMITS,
    FunctionLimits,
    FunctionSettings,
    check_settings,
    decode_limits,
    decode_settings,
    encode_settings,
)


@pytest.mark.parametrize(
    ("document", "canonical"),
    [
        (b"{}", b"{}"),
        (b'{"limits": {}}', b"{}"),
        (b'{"limits": {"time": null}}', b"{}"),
        (b'{"env": {}, "secrets": [], "outbound": [], "http": {"auth": "token"}}', b"{}"),
        (b'{"env": {"B": "2", "A": "1"}}', b'{"env":{"A":"1","B":"2"}}'),
        (b'{"secrets": ["A", "B"], "http": {"auth": "none"}}', b'{"secrets":["A","B"],"http":{"auth":"none"}}'),
        (b'{"limits": {"perSecond": 5, "time": 2}}', b'{"limits":{"time":2.0,"perSecond":5.0}}'),
        (b'{"limits": {"memory": 65536, "concurrency": 3}}', b'{"limits":{"memory":65536,"concurrency":3}}'),
    ],
)
def test_function_settings_have_one_form(document: bytes, canonical: bytes) -> None:
    settings = msgspec.json.decode(document, type=FunctionSettings)
    assert encode_settings(settings) == canonical
    assert decode_settings(canonical) == settings


@pytest.mark.parametrize(
    "document",
    [
        b'{"environment": {}}',
        b'{"env": {"A": 1}}',
        b'{"secrets": "A"}',
        b'{"http": {"auth": "maybe"}}',
        b'{"limits": {"cpu": 1}}',
        b'{"limits": {"time": 0}}',
        b'{"limits": {"time": "5s"}}',
        b'{"limits": {"memory": 1}}',
        b'{"limits": {"memory": 1.5}}',
        b'{"limits": {"concurrency": 0}}',
        b'{"limits": {"perSecond": -1}}',
        b'{"limits": {"perSecond": 5e-324}}',
        b'{"limits": {"perSecond": 1e308}}',
        b'{"limits": []}',
    ],
)
def test_function_settings_refuse_what_is_not_a_limit(document: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(document, type=FunctionSettings)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (FunctionLimits(time=10.5), "settings.limits.time: 10.5 seconds is not accepted; at most 10 (10s), the time"),
        (FunctionLimits(memory=1 << 30), "settings.limits.memory: 1073741824 bytes is not accepted; at most 134217728"),
    ],
)
def test_function_settings_narrow_the_limits_of_the_server(limits: FunctionLimits, message: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(message)):
        check_settings(FunctionSettings(limits=limits), max_time=10, max_memory=128 << 20)
    check_settings(
        FunctionSettings(limits=FunctionLimits(time=10, memory=128 << 20)), max_time=10, max_memory=128 << 20
    )


def test_function_settings_without_limits() -> None:
    assert decode_limits(None) is NO_LIMITS
