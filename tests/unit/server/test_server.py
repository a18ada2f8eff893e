"""The listening socket: what it is bound to and how a failure is reported."""

import contextlib
import socket

import pytest

from faas.errors import ConfigurationError
from faas.server.server import bind_socket


def test_bind_socket_listens_without_blocking() -> None:
    with contextlib.closing(bind_socket("127.0.0.1", 0)) as listening:
        assert not listening.getblocking()
        with socket.create_connection(listening.getsockname(), timeout=5):
            pass


def test_bind_socket_port_in_use_is_a_configuration_error_with_a_hint() -> None:
    with contextlib.closing(bind_socket("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}: .*; choose another with"):
            bind_socket("127.0.0.1", port)


@pytest.mark.parametrize("host", ["a" * 70, "not a host"])
def test_bind_socket_invalid_host_is_a_configuration_error(host: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen on "):
        bind_socket(host, 0)
