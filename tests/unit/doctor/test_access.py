"""Who may use the server: `--auth` beside `--host`."""

import ipaddress

import pytest

from faas.doctor.access import check
from faas.settings import Auth, Settings

ALL_ADDRESSES = str(ipaddress.IPv4Address(0))


@pytest.mark.parametrize(
    ("auth", "host", "status", "text"),
    [
        ("auto", "127.0.0.1", "OK", "as soon as there is one"),
        ("auto", ALL_ADDRESSES, "OK", "tokens are asked for"),
        ("auto", "faas.example", "OK", "tokens are asked for"),
        ("required", "localhost", "OK", "tokens are asked for"),
        ("off", "::1", "OK", "off: every client on this machine"),
        ("off", ALL_ADDRESSES, "WARN", "off, and other machines reach --host 0.0.0.0"),
        ("off", "faas.example", "WARN", "off, and other machines reach --host faas.example"),
    ],
)
def test_access_warns_of_a_server_that_others_reach_without_tokens(
    auth: Auth, host: str, status: str, text: str
) -> None:
    (finding,) = check(Settings(auth=auth, host=host))
    assert (finding.check, finding.status) == ("access", status)
    assert finding.finding.startswith(text) or finding.finding.endswith(text)
    assert bool(finding.action) == (status == "WARN")
