"""Settings of a run: flags beat the environment, wrong values are named."""

from pathlib import Path

import pytest

from faas.compute_module.pipeline.settings import SETTINGS, Settings, load
from faas.errors import ConfigurationError


def test_defaults_are_those_of_the_contract() -> None:
    assert load({}, {}) == Settings()
    assert (Settings().workers, Settings().max_retries, Settings().request_timeout) == (10, 3, 30.0)
    assert (Settings().rate_limit_rps, Settings().fail_fast, Settings().capture_audit) == (0, False, False)


def test_the_environment_sets_everything() -> None:
    environ = {
        "WORKERS": "3",
        "MAX_RETRIES": "0",
        "REQUEST_TIMEOUT": "1m30s",
        "RATE_LIMIT_RPS": "0.5",
        "FAIL_FAST": "True",
        "GEMINI_MODEL": " gemini-x ",
        "GEMINI_BASE_URL": "http://localhost:1/",
        "GEMINI_CAPTURE_AUDIT": "1",
        "FAAS_URL": "http://faas:80",
    }
    assert set(environ) == {setting.variable for setting in SETTINGS}
    assert load({}, environ) == Settings(
        workers=3,
        max_retries=0,
        request_timeout=90,
        rate_limit_rps=0.5,
        fail_fast=True,
        gemini_model="gemini-x",
        gemini_base_url="http://localhost:1",
        capture_audit=True,
        faas_url="http://faas:80",
    )


def test_a_flag_beats_the_environment_and_blank_is_unset() -> None:
    assert load({"workers": "7", "max_retries": None}, {"WORKERS": "nonsense", "MAX_RETRIES": " "}).workers == 7


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("WORKERS", "0", "a whole number from 1"),
        ("WORKERS", "ten", "a whole number from 1"),
        ("WORKERS", "1.5", "a whole number from 1"),
        ("WORKERS", "٣", "a whole number from 1"),
        ("MAX_RETRIES", "-1", "a whole number from 0"),
        ("REQUEST_TIMEOUT", "soon", "a duration such as"),
        ("REQUEST_TIMEOUT", "0s", "a duration such as"),
        ("REQUEST_TIMEOUT", "-1s", "a duration such as"),
        ("RATE_LIMIT_RPS", "-1", "a number of requests per second"),
        ("RATE_LIMIT_RPS", "nan", "a number of requests per second"),
        ("RATE_LIMIT_RPS", "inf", "a number of requests per second"),
        ("FAIL_FAST", "maybe", "true or false"),
        ("GEMINI_CAPTURE_AUDIT", "2", "true or false"),
        ("GEMINI_BASE_URL", "gemini.test", "a URL such as"),
        ("FAAS_URL", "ftp://x", "a URL such as"),
        ("FAAS_URL", "http://x:99999", "a URL such as"),
        ("FAAS_URL", "http://[::1", "a URL such as"),
        ("FAAS_URL", "http://[v1.x]", "a URL such as"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_accepted(variable: str, value: str, accepted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({}, {variable: value})
    assert str(caught.value).startswith(f"{variable}={value!r}: {accepted}")
    option = next(setting for setting in SETTINGS if setting.variable == variable)
    with pytest.raises(ConfigurationError) as caught:
        load({option.name: value}, {})
    assert str(caught.value).startswith(f"{option.option}={value!r}: {accepted}")


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({}, {"FAAS_URL": "ftp://me:hush@host"})
    assert "hush" not in str(caught.value)


def test_every_setting_is_in_the_docs() -> None:
    page = (Path(__file__).parents[4] / "docs" / "compute-module" / "README.md").read_text()
    for setting in SETTINGS:
        assert f"| `{setting.variable}` | `{setting.option}` |" in page
