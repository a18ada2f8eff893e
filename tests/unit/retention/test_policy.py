"""The settings of retention as a policy."""

from datetime import UTC, datetime, timedelta

import pytest

from faas.errors import ConfigurationError
from faas.retention.policy import Policy, policy_of
from faas.settings import load

DAYS_90 = timedelta(days=90)


@pytest.mark.parametrize(
    ("environ", "keeps_all", "policy", "clears"),
    [
        ({}, False, Policy(DAYS_90, DAYS_90), False),
        ({}, True, Policy(None, None), False),
        ({"FAAS_KEEP_EXECUTIONS": "90d"}, True, Policy(DAYS_90, DAYS_90), False),
        ({"FAAS_KEEP_EXECUTIONS": "0"}, False, Policy(None, None), False),
        ({"FAAS_KEEP_EXECUTIONS": "12h"}, False, Policy(timedelta(hours=12), timedelta(hours=12)), False),
        ({"FAAS_KEEP_PAYLOADS": "7d"}, False, Policy(DAYS_90, timedelta(days=7)), True),
        ({"FAAS_KEEP_PAYLOADS": "7d"}, True, Policy(None, timedelta(days=7)), True),
        ({"FAAS_KEEP_PAYLOADS": "100d"}, False, Policy(DAYS_90, timedelta(days=100)), False),
        ({"FAAS_KEEP_PAYLOADS": "0"}, False, Policy(DAYS_90, DAYS_90), False),
    ],
)
def test_policy_of_settings(environ: dict[str, str], keeps_all: bool, policy: Policy, clears: bool) -> None:
    found = policy_of(load({"data_dir": "/x"}, environ), keeps_all=keeps_all)
    assert (found, found.clears_payloads) == (policy, clears)


@pytest.mark.parametrize("text", ["-1d", "90", "x", "90 d"])
def test_load_retention_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="a duration such as 90d or 12h, or 0 to keep all"):
        load({"keep_executions": text}, {})


@pytest.mark.parametrize("text", ["36501d", "800000d", "99999999999d", "9" * 400 + "d", "876000h1ms"])
@pytest.mark.parametrize("name", ["FAAS_KEEP_EXECUTIONS", "FAAS_KEEP_PAYLOADS"])
def test_load_retention_refuses_what_is_too_long(name: str, text: str) -> None:
    accepted = "a duration such as 90d or 12h, or 0 to keep all; at most 36500d"
    with pytest.raises(ConfigurationError) as refused:
        load({}, {name: text})
    assert str(refused.value) == f"{name}={text!r}: {accepted}"


@pytest.mark.parametrize("keep", ["36500d", "876000h"])
def test_policy_of_the_longest_retention_has_a_horizon(keep: str) -> None:
    found = policy_of(load({"data_dir": "/x"}, {"FAAS_KEEP_EXECUTIONS": keep}), keeps_all=False)
    assert found.horizon(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=36_500)
