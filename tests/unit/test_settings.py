"""Settings: options beat the environment, the environment beats the default, and what is wrong is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas import settings
from faas.errors import ConfigurationError
from faas.units import format_duration, parse_duration, parse_size


def test_defaults_are_those_of_the_contract() -> None:
    loaded = settings.load({}, {})
    assert (loaded.host, loaded.port) == ("127.0.0.1", 8080)
    assert (loaded.time_limit, loaded.memory_limit) == (10, 128 << 20)
    assert (loaded.input_limit, loaded.output_limit) == (6 << 20, 6 << 20)
    assert (loaded.max_in_flight, loaded.compile_timeout) == (256, 60)


def test_option_beats_environment_beats_default() -> None:
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
        ("FAAS_LANGUAGES", "wat,rust", "a comma-separated list of assemblyscript, wat, wasm"),
        ("FAAS_LANGUAGES", ",", "a comma-separated list of assemblyscript, wat, wasm"),
        ("FAAS_LOG_FORMAT", "xml", "one of auto, console, json"),
        ("FAAS_MAX_IN_FLIGHT", "0", ">= 1"),
    ],
)
def test_what_does_not_parse_names_variable_value_and_what_is_accepted(
    variable: str, value: str, accepted: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.load({}, {variable: value})
    message = str(caught.value)
    assert variable in message
    assert repr(value) in message
    assert accepted in message


def test_a_path_that_is_empty_is_not_the_folder_one_stands_in() -> None:
    with pytest.raises(ConfigurationError, match="--data-dir='': it is empty; accepted is a path"):
        settings.load({"data_dir": ""}, {})


def test_languages_are_a_list() -> None:
    assert settings.load({}, {}).languages == ("assemblyscript", "wat", "wasm")
    assert settings.load({}, {"FAAS_LANGUAGES": "wasm, wat,wasm"}).languages == ("wasm", "wat")


def test_an_option_that_does_not_parse_is_named_as_the_option() -> None:
    with pytest.raises(ConfigurationError, match="--time-limit='x'"):
        settings.load({"time_limit": "x"}, {})


@pytest.mark.parametrize(("text", "seconds"), [("300ms", 0.3), ("1m30s", 90), ("2m", 120), ("10", 10), ("1.5s", 1.5)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("128MiB", 128 << 20), ("64 KiB", 65536), ("4096", 4096), ("1mb", 10**6)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.integers(1, 10**7))
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, rel=1e-4)
