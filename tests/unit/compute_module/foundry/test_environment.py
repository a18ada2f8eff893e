"""Foundry's environment: variables, the files that they name, and errors in either."""

import json
from pathlib import Path

import pytest

from faas.compute_module.foundry.environment import (
    DatasetRef,
    FoundryEnvironment,
    KeepAliveSettings,
    create_tls_context,
    read_environment,
    read_keep_alive,
)
from faas.compute_module.settings import FoundryVariables, load_settings
from faas.errors import ConfigurationError

SECRET = "hush-hush-token"


def environment_of(environ: dict[str, str]) -> FoundryEnvironment:
    return read_environment(load_settings(FoundryVariables, environ=environ))


def keep_alive_of(environ: dict[str, str]) -> KeepAliveSettings | None:
    return read_keep_alive(load_settings(FoundryVariables, environ=environ))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A complete and correct environment."""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    (tmp_path / "aliases").write_text(
        json.dumps(
            {"input": {"rid": "ri.in", "branch": None}, "output": {"rid": " ri.out ", "branch": "dev"}, "no": {}}
        )
    )
    return {
        "FOUNDRY_URL": "foundry.example/",
        "BUILD2_TOKEN": str(tmp_path / "token"),
        "RESOURCE_ALIAS_MAP": str(tmp_path / "aliases"),
    }


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        environment_of(environ)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_environment_url_gives_both_services(environ: dict[str, str]) -> None:
    place = environment_of(environ)
    assert (place.api, place.stream_proxy) == (
        "https://foundry.example/api",
        "https://foundry.example/stream-proxy/api",
    )
    assert place.token == SECRET
    assert place.resolve_alias("input") == DatasetRef("ri.in", "master")
    assert place.resolve_alias("output") == DatasetRef("ri.out", "dev")
    assert environment_of(environ | {"FOUNDRY_URL": "http://127.0.0.1:8081"}).api == "http://127.0.0.1:8081/api"


def test_environment_service_discovery_overrides_the_url(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "discovery.yml"
    path.write_text("api_gateway:\n  - https://a:8443/api/\nstream_proxy: ['https://b/stream-proxy/api']\nother: x\n")
    place = environment_of(environ | {"FOUNDRY_SERVICE_DISCOVERY_V2": str(path)})
    assert (place.api, place.stream_proxy) == ("https://a:8443/api", "https://b/stream-proxy/api")
    path.write_text("api-gateway: [https://c/api]\nstream-proxy: [https://d/api]\n")
    assert environment_of(environ | {"FOUNDRY_SERVICE_DISCOVERY_V2": str(path)}).stream_proxy == "https://d/api"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("api_gateway: [https://a/api]\n", "no address under stream_proxy"),
        ("api_gateway: https://a/api\n", "no address under api_gateway"),
        ("api_gateway: []\n", "no address under api_gateway"),
        ("api_gateway: [a]\nstream_proxy: [https://b]", "a URL such as"),
        ("[", "not YAML"),
        ("!!python/object/apply:os.system [id]", "no address under api_gateway"),
        ("since: 2001-99-99\n", "no address under api_gateway"),
        ("old: !!bool maybe\napi_gateway: [3]\nstream_proxy: [https://b]", "a URL such as"),
        ("", "no address under api_gateway"),
    ],
)
def test_environment_wrong_service_discovery_is_refused(
    environ: dict[str, str], tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "discovery.yml"
    path.write_text(content)
    assert message in refused(environ | {"FOUNDRY_SERVICE_DISCOVERY_V2": str(path)})


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FOUNDRY_URL", "", "FOUNDRY_URL: needed"),
        ("FOUNDRY_URL", "ftp://x", "a URL such as"),
        ("FOUNDRY_SERVICE_DISCOVERY_V2", "/none", "No such file"),
        ("BUILD2_TOKEN", "", "BUILD2_TOKEN: needed"),
        ("BUILD2_TOKEN", SECRET, "BUILD2_TOKEN: the file that it names does not exist"),
        # a token may be longer than the name of a file
        ("BUILD2_TOKEN", SECRET * 99, "BUILD2_TOKEN: the file that it names does not exist"),
        ("RESOURCE_ALIAS_MAP", "", "RESOURCE_ALIAS_MAP: needed"),
        ("RESOURCE_ALIAS_MAP", "/none", "No such file"),
        ("DEFAULT_CA_PATH", "/none", "No such file"),
    ],
)
def test_environment_missing_variable_or_file_is_named(
    environ: dict[str, str], variable: str, value: str, message: str
) -> None:
    assert message in refused(environ | {variable: value})


@pytest.mark.parametrize("content", ["{", "[]", '{"input": 3}', '{"input": {"rid": 3}}', "\xff", "[" * 5000])
def test_environment_malformed_alias_map_is_refused(environ: dict[str, str], content: str) -> None:
    Path(environ["RESOURCE_ALIAS_MAP"]).write_text(content, encoding="latin-1")
    assert refused(environ).startswith("RESOURCE_ALIAS_MAP=")


@pytest.mark.parametrize(
    ("alias", "message"), [("no", "the alias 'no' has no rid"), ("none", "no alias 'none'; it has input")]
)
def test_environment_unknown_alias_or_alias_without_rid_is_refused(
    environ: dict[str, str], alias: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        environment_of(environ).resolve_alias(alias)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"two\nlines", b"\xc3\xbc", b"\xff"])
def test_environment_token_that_a_header_cannot_contain_is_refused(environ: dict[str, str], content: bytes) -> None:
    Path(environ["BUILD2_TOKEN"]).write_bytes(content)
    assert refused(environ).startswith("BUILD2_TOKEN: ")


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_environment_ca_file_without_a_certificate_is_refused(
    environ: dict[str, str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "ca.pem").write_text(content)
    assert "it holds no certificate" in refused(environ | {"DEFAULT_CA_PATH": str(tmp_path / "ca.pem")})


def test_environment_ca_file_replaces_the_systems_certificates(environ: dict[str, str]) -> None:
    import certifi

    everything = create_tls_context(None).cert_store_stats()["x509"]
    pem = Path(certifi.where()).read_text()
    one = pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    path = Path(environ["BUILD2_TOKEN"]).with_name("ca.pem")
    path.write_text(one)
    assert environment_of(environ | {"DEFAULT_CA_PATH": str(path)}).ca_path == path
    assert create_tls_context(path).cert_store_stats()["x509"] == 1
    assert everything != 1


# --- keep-alive -------------------------------------------------------------------------------------------------------


def keep_alive_variables(tmp_path: Path, **more: str) -> dict[str, str]:
    import certifi

    return {
        "GET_JOB_URI": "https://localhost:8945/interactive-module/api/internal-query/job",
        "POST_RESULT_URI": "https://[::1]:8945/results/",
        "MODULE_AUTH_TOKEN": SECRET,
        "DEFAULT_CA_PATH": certifi.where(),
        **more,
    }


def test_keep_alive_settings_are_none_without_both_uris(tmp_path: Path) -> None:
    assert keep_alive_of({}) is None
    assert keep_alive_of(keep_alive_variables(tmp_path, GET_JOB_URI="")) is None
    assert keep_alive_of(keep_alive_variables(tmp_path, POST_RESULT_URI=" ")) is None


def test_keep_alive_settings_use_the_ipv4_loopback_address(tmp_path: Path) -> None:
    settings = keep_alive_of(keep_alive_variables(tmp_path))
    assert isinstance(settings, KeepAliveSettings)
    assert settings.get_job == "https://127.0.0.1:8945/interactive-module/api/internal-query/job"
    assert settings.post_result == "https://127.0.0.1:8945/results"
    other = keep_alive_of(keep_alive_variables(tmp_path, GET_JOB_URI="http://jobs.example/job"))
    assert other
    assert other.get_job == "http://jobs.example/job"


def test_keep_alive_settings_token_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f" {SECRET}\n")
    settings = keep_alive_of(keep_alive_variables(tmp_path, MODULE_AUTH_TOKEN=str(tmp_path / "token")))
    assert settings
    assert settings.token == SECRET


def test_keep_alive_settings_token_may_be_longer_than_a_path(tmp_path: Path) -> None:
    settings = keep_alive_of(keep_alive_variables(tmp_path, MODULE_AUTH_TOKEN=SECRET * 99))
    assert settings
    assert settings.token == SECRET * 99


@pytest.mark.parametrize("missing", ["MODULE_AUTH_TOKEN", "DEFAULT_CA_PATH"])
def test_keep_alive_settings_require_the_token_and_the_ca_file(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{missing}: needed with GET_JOB_URI"):
        keep_alive_of(keep_alive_variables(tmp_path, **{missing: ""}))
