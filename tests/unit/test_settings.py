"""Tests of the settings: precedence, validation, and the formats of durations and sizes."""

import os
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas import settings
from faas.cores import available_cores
from faas.errors import ConfigurationError
from faas.languages import Language
from faas.units import format_duration, parse_duration, parse_size


def test_load_defaults_are_those_of_the_contract() -> None:
    loaded = settings.load({}, {})
    assert (loaded.host, loaded.port) == ("127.0.0.1", 8080)
    assert (loaded.time_limit, loaded.memory_limit) == (10, 128 << 20)
    assert (loaded.input_limit, loaded.output_limit) == (6 << 20, 6 << 20)
    assert (loaded.max_in_flight, loaded.compile_timeout) == (256, 60)


def test_load_option_overrides_environment_overrides_default() -> None:
    environment = {"FAAS_PORT": "1", "FAAS_TIME_LIMIT": "300ms"}
    loaded = settings.load({"port": "2", "host": None}, environment)
    assert (loaded.port, loaded.time_limit, loaded.host) == (2, 0.3, "127.0.0.1")


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("FAAS_PORT", "eighty", "a whole number"),
        ("FAAS_PORT", "65536", "<= 65535"),
        ("FAAS_TIME_LIMIT", "10 seconds", "a duration such as"),
        ("FAAS_TIME_LIMIT", "0", "> 0"),
        ("FAAS_MEMORY_LIMIT", "lots", "a size such as"),
        ("FAAS_MEMORY_LIMIT", "5GiB", "<= 4294967296"),
        ("FAAS_STACK_LIMIT", "64MiB", "<= 2097152"),
        ("FAAS_ROLE", "compilers", "one of all, api, compiler"),
        (
            "FAAS_LANGUAGES",
            "wat,rust",
            "a comma-separated list of javascript, typescript, python, assemblyscript, wat, wasm",
        ),
        ("FAAS_LANGUAGES", ",", "a comma-separated list of javascript, typescript, python, assemblyscript, wat, wasm"),
        ("FAAS_LOG_FORMAT", "xml", "one of auto, console, json"),
        ("FAAS_WORKERS", "many", "a whole number, or auto"),
        ("FAAS_WORKERS", "0", ">= 1"),
        ("FAAS_WORKERS", "65", "<= 64"),
        ("FAAS_MAX_IN_FLIGHT", "0", ">= 1"),
        ("FAAS_MAX_IN_FLIGHT", "10001", "<= 10000"),
    ],
)
def test_load_error_names_variable_value_and_accepted_format(variable: str, value: str, accepted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.load({}, {variable: value})
    message = str(caught.value)
    assert variable in message
    assert repr(value) in message
    assert accepted in message


def test_load_rejects_an_empty_path() -> None:
    with pytest.raises(ConfigurationError, match="--data-dir='': it is empty; accepted is a path"):
        settings.load({"data_dir": ""}, {})


def test_load_languages_are_a_list_without_duplicates() -> None:
    assert settings.load({}, {}).languages == get_args(Language)
    assert settings.load({}, {"FAAS_LANGUAGES": "wasm, wat,wasm"}).languages == ("wasm", "wat")


def test_load_hosts_are_a_list_in_lower_case() -> None:
    assert settings.load({}, {}).allowed_hosts == ()
    assert settings.load({}, {"FAAS_ALLOWED_HOSTS": "Faas.example., [::1],faas.example"}).allowed_hosts == (
        "faas.example",
        "::1",
    )


@pytest.mark.parametrize("text", ["https://faas.example", "faas.example:80", "*", ",", "faas.example,"])
def test_load_hosts_error_says_what_is_accepted(text: str) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"^--allowed-hosts='.*': '.*' .*; accepted is a comma-separated list; each is a host name or an address",
    ):
        settings.load({"allowed_hosts": text}, {})


def test_load_origins_are_a_list_as_browsers_send_them() -> None:
    text = "https://App.example:443, http://localhost:5173"
    assert settings.load({}, {"FAAS_CORS_ORIGINS": text}).cors_origins == (
        "https://app.example",
        "http://localhost:5173",
    )
    with pytest.raises(ConfigurationError, match=r"'\*' is every web page; list the origins .*; accepted is a comma-s"):
        settings.load({"cors_origins": "*"}, {})


def test_load_trusted_proxies_are_networks() -> None:
    text = "127.0.0.1, 10.0.0.0/8,::ffff:10.0.0.0/104"
    assert settings.load({}, {"FAAS_TRUSTED_PROXIES": text}).trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8")
    for wrong, reason in (
        ("proxy.example", "'proxy.example' does not appear to be an IPv4 or IPv6 network"),
        ("10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("0.0.0.0/0", "'0.0.0.0/0' is every address: any client could then choose its own"),
        ("127.0.0.1,", "'' does not appear to be an IPv4 or IPv6 network"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            settings.load({"trusted_proxies": wrong}, {})
        assert str(caught.value).startswith(
            f"--trusted-proxies={wrong!r}: {reason}; accepted is a comma-separated list; each is an address such as"
        )


@pytest.mark.parametrize(("given", "missing"), [("tls_cert", "tls-key"), ("tls_key", "tls-cert")])
def test_load_tls_needs_both_files(given: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"needs --{missing}: HTTPS takes a certificate and its private key"):
        settings.load({given: "file.pem"}, {})
    both = settings.load({given: "file.pem"}, {f"FAAS_{missing.upper().replace('-', '_')}": "~/other.pem"})
    assert {both.tls_cert, both.tls_key} == {Path("file.pem"), Path("~/other.pem").expanduser()}


def test_load_secret_key_file_is_in_the_data_directory_unless_given() -> None:
    assert settings.load({"data_dir": "/d"}, {}).secret_key_path == Path("/d/secret.key")
    given = settings.load({"data_dir": "/d"}, {"FAAS_SECRET_KEY_FILE": "/run/secrets/faas.key"})
    assert given.secret_key_path == Path("/run/secrets/faas.key")


def test_load_error_names_the_option() -> None:
    with pytest.raises(ConfigurationError, match="--time-limit='x'"):
        settings.load({"time_limit": "x"}, {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("1m30s", 90), ("2m", 120), ("10", 10), ("1.5s", 1.5), ("90d", 7776000), ("1d12h", 129600)],
)
def test_parse_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(0.3, "300ms"), (90, "1m30s"), (3600, "1h"), (7776000, "90d")])
def test_format_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("text", "size"), [("128MiB", 128 << 20), ("64 KiB", 65536), ("4096", 4096), ("1mb", 10**6)])
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.integers(1, 10**7))
def test_format_duration_is_parsed_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, rel=1e-4)


def test_load_without_a_home_directory_needs_a_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a numeric user in a container: no HOME and no entry in /etc/passwd."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert settings.load({"data_dir": "/data", "port": "1"}, {}).data_dir == Path("/data")
    with pytest.raises(ConfigurationError, match="--data-dir"):
        settings.load({"port": "1"}, {})


def test_load_workers_auto_is_one_for_each_core() -> None:
    assert settings.load({}, {}).workers == 1
    assert settings.load({"workers": "auto"}, {}).workers == available_cores()
    assert settings.load({"workers": "3"}, {"FAAS_WORKERS": "auto"}).workers == 3


def test_load_refuses_workers_of_the_role_compiler() -> None:
    with pytest.raises(ConfigurationError, match=r"--workers=2: a process of the role compiler serves no functions"):
        settings.load({"workers": "2", "role": "compiler"}, {})
