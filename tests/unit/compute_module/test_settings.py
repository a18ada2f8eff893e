"""Settings: options override variables, wrong values are named with what is accepted."""

from pathlib import Path

import msgspec
import pytest

from faas import settings as faas_settings
from faas.compute_module.settings import (
    FoundryRunSettings,
    FoundryVariables,
    GeminiVariables,
    MockFoundrySettings,
    RunSettings,
    load_settings,
    settings_of,
)
from faas.errors import ConfigurationError

SETTINGS = [setting for setting in settings_of(RunSettings) if setting.variable]


def load(options: dict[str, str | None], environ: dict[str, str]) -> RunSettings:
    return load_settings(RunSettings, options, environ)


def test_run_settings_have_the_defaults_of_the_contract() -> None:
    assert load({}, {}) == RunSettings()
    assert (RunSettings().workers, RunSettings().max_retries, RunSettings().request_timeout) == (10, 3, 30.0)
    assert (RunSettings().rate_limit_rps, RunSettings().fail_fast, RunSettings().capture_audit) == (0, False, False)


def test_run_settings_are_read_from_variables() -> None:
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
    assert load({}, environ) == RunSettings(
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


def test_settings_option_overrides_variable_and_blank_variable_is_not_set() -> None:
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
def test_settings_wrong_value_is_named_with_what_is_accepted(variable: str, value: str, accepted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({}, {variable: value})
    assert str(caught.value).startswith(f"{variable}={value!r}: {accepted}")
    option = next(setting for setting in SETTINGS if setting.variable == variable)
    with pytest.raises(ConfigurationError) as caught:
        load({option.name: value}, {})
    assert str(caught.value).startswith(f"{option.option}={value!r}: {accepted}")


def test_settings_error_hides_the_password_of_a_url() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({}, {"FAAS_URL": "ftp://me:hush@host"})
    assert "hush" not in str(caught.value)


def test_settings_server_url_has_one_default_in_both_products() -> None:
    assert RunSettings().faas_url == faas_settings.DEFAULT_SERVER


@pytest.mark.parametrize("kind", [RunSettings, FoundryRunSettings, MockFoundrySettings])
def test_settings_shown_default_parses_to_the_default(
    kind: type[msgspec.Struct], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs").mkdir()
    for setting in settings_of(kind):
        if setting.shown_default:
            assert setting.type.parse(setting.shown_default) == setting.default


def test_settings_of_a_command_have_options_of_their_own() -> None:
    commands: list[list[type[msgspec.Struct]]] = [[RunSettings, FoundryRunSettings], [MockFoundrySettings]]
    for kinds in commands:
        options = [setting.option for kind in kinds for setting in settings_of(kind)]
        assert len(options) == len(set(options))


def test_settings_variables_are_declared_once() -> None:
    kinds = (RunSettings, FoundryRunSettings, FoundryVariables, GeminiVariables, MockFoundrySettings)
    variables = [setting.variable for kind in kinds for setting in settings_of(kind) if setting.variable]
    assert len(variables) == len(set(variables))


def test_foundry_run_settings_output_filename_is_a_path_in_the_dataset() -> None:
    assert load_settings(FoundryRunSettings, {"output_filename": "out/t.csv"}, {}).output_filename == "out/t.csv"
    for wrong in ("", " ", "/", "../x", "a//b", "a/./b"):
        with pytest.raises(ConfigurationError, match=r"^--output-filename="):
            load_settings(FoundryRunSettings, {"output_filename": wrong}, {})


def test_mock_foundry_settings_option_overrides_variable(tmp_path: Path) -> None:
    environ = {
        "MOCK_FOUNDRY_ADDR": "0.0.0.0:9",
        "MOCK_FOUNDRY_INPUT_DIR": str(tmp_path),
        "MOCK_FOUNDRY_UPLOAD_DIR": str(tmp_path / "up"),
        "MOCK_FOUNDRY_STREAM_RIDS": "ri.a, ri.b,,ri.a",
        "MOCK_FOUNDRY_TOKEN": "t",
    }
    settings = load_settings(MockFoundrySettings, {"addr": "[::1]:0"}, environ)
    assert (settings.addr.host, settings.addr.port, settings.stream_rids, settings.token) == (
        "::1",
        0,
        ("ri.a", "ri.b"),
        "t",
    )
    assert (settings.input_dir, settings.upload_dir) == (tmp_path, tmp_path / "up")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("addr", "nonsense", "--addr='nonsense': an address such as 127.0.0.1:8081"),
        ("addr", "127.0.0.1:99999", "an address such as"),
        ("addr", "8081", "--addr='8081': an address such as"),  # only `:8081` listens on every interface
        ("input_dir", "/none/at/all", "--input-dir='/none/at/all': no such folder"),
        ("upload_dir", "/dev/null/x", "--upload-dir='/dev/null/x': "),
    ],
)
def test_mock_foundry_settings_wrong_value_is_named(option: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(MockFoundrySettings, {option: value}, {})
    assert message in str(caught.value)


def test_mock_foundry_settings_create_the_default_upload_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(MockFoundrySettings, {}, {}).upload_dir == Path("uploads")
    assert (tmp_path / "uploads").is_dir()
    assert not (tmp_path / "inputs").exists()
    (tmp_path / "uploads").rmdir()
    (tmp_path / "uploads").touch()
    with pytest.raises(ConfigurationError, match="MOCK_FOUNDRY_UPLOAD_DIR='uploads': File exists"):
        load_settings(MockFoundrySettings, {}, {})


def test_mock_foundry_settings_address_without_a_host_is_every_interface() -> None:
    assert load_settings(MockFoundrySettings, {"addr": ":0", "upload_dir": "."}, {}).addr.host == "0.0.0.0"  # noqa: S104
