"""What Foundry's environment says, and what is said when it is wrong."""

import json
from pathlib import Path

import pytest

from faas.compute_module.foundry.environment import (
    Dataset,
    KeepAliveSettings,
    read_environment,
    read_keep_alive,
    read_mock_settings,
    trust,
)
from faas.errors import ConfigurationError

SECRET = "hush-hush-token"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A right environment."""
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
        read_environment(environ)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_url_gives_both_services(environ: dict[str, str]) -> None:
    place = read_environment(environ)
    assert (place.api, place.stream_proxy) == (
        "https://foundry.example/api",
        "https://foundry.example/stream-proxy/api",
    )
    assert place.token == SECRET
    assert place.dataset("input") == Dataset("ri.in", "master")
    assert place.dataset("output") == Dataset("ri.out", "dev")
    assert read_environment(environ | {"FOUNDRY_URL": "http://127.0.0.1:8081"}).api == "http://127.0.0.1:8081/api"


def test_service_discovery_wins(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "discovery.yml"
    path.write_text("api_gateway:\n  - https://a:8443/api/\nstream_proxy: ['https://b/stream-proxy/api']\nother: x\n")
    place = read_environment(environ | {"FOUNDRY_SERVICE_DISCOVERY_V2": str(path)})
    assert (place.api, place.stream_proxy) == ("https://a:8443/api", "https://b/stream-proxy/api")
    path.write_text("api-gateway: [https://c/api]\nstream-proxy: [https://d/api]\n")
    assert read_environment(environ | {"FOUNDRY_SERVICE_DISCOVERY_V2": str(path)}).stream_proxy == "https://d/api"


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
def test_wrong_service_discovery(environ: dict[str, str], tmp_path: Path, content: str, message: str) -> None:
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
        # as long as tokens are, which is longer than a file's name may be
        ("BUILD2_TOKEN", SECRET * 99, "BUILD2_TOKEN: the file that it names does not exist"),
        ("RESOURCE_ALIAS_MAP", "", "RESOURCE_ALIAS_MAP: needed"),
        ("RESOURCE_ALIAS_MAP", "/none", "No such file"),
        ("DEFAULT_CA_PATH", "/none", "No such file"),
    ],
)
def test_a_missing_variable_or_file_is_named(environ: dict[str, str], variable: str, value: str, message: str) -> None:
    assert message in refused(environ | {variable: value})


@pytest.mark.parametrize("content", ["{", "[]", '{"input": 3}', '{"input": {"rid": 3}}', "\xff", "[" * 5000])
def test_a_broken_alias_map(environ: dict[str, str], content: str) -> None:
    Path(environ["RESOURCE_ALIAS_MAP"]).write_text(content, encoding="latin-1")
    assert refused(environ).startswith("RESOURCE_ALIAS_MAP=")


@pytest.mark.parametrize(
    ("alias", "message"), [("no", "the alias 'no' has no rid"), ("none", "no alias 'none'; it has input")]
)
def test_an_alias_that_stands_for_nothing(environ: dict[str, str], alias: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_environment(environ).dataset(alias)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"two\nlines", b"\xc3\xbc", b"\xff"])
def test_a_token_that_no_header_can_hold(environ: dict[str, str], content: bytes) -> None:
    Path(environ["BUILD2_TOKEN"]).write_bytes(content)
    assert refused(environ).startswith("BUILD2_TOKEN: ")


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_trust_store_without_a_certificate(environ: dict[str, str], tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    assert "it holds no certificate" in refused(environ | {"DEFAULT_CA_PATH": str(tmp_path / "ca.pem")})


def test_a_trust_store_replaces_the_usual_one(environ: dict[str, str]) -> None:
    import certifi

    everything = trust(None).cert_store_stats()["x509"]
    pem = Path(certifi.where()).read_text()
    one = pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    path = Path(environ["BUILD2_TOKEN"]).with_name("ca.pem")
    path.write_text(one)
    assert read_environment(environ | {"DEFAULT_CA_PATH": str(path)}).ca_path == path
    assert trust(path).cert_store_stats()["x509"] == 1
    assert everything != 1


# --- keep-alive -------------------------------------------------------------------------------------------------------


def keep_alive(tmp_path: Path, **more: str) -> dict[str, str]:
    import certifi

    return {
        "GET_JOB_URI": "https://localhost:8945/interactive-module/api/internal-query/job",
        "POST_RESULT_URI": "https://[::1]:8945/results/",
        "MODULE_AUTH_TOKEN": SECRET,
        "DEFAULT_CA_PATH": certifi.where(),
        **more,
    }


def test_keep_alive_is_off_without_both_addresses(tmp_path: Path) -> None:
    assert read_keep_alive({}) is None
    assert read_keep_alive(keep_alive(tmp_path, GET_JOB_URI="")) is None
    assert read_keep_alive(keep_alive(tmp_path, POST_RESULT_URI=" ")) is None


def test_keep_alive_addresses_become_numeric(tmp_path: Path) -> None:
    settings = read_keep_alive(keep_alive(tmp_path))
    assert isinstance(settings, KeepAliveSettings)
    assert settings.get_job == "https://127.0.0.1:8945/interactive-module/api/internal-query/job"
    assert settings.post_result == "https://127.0.0.1:8945/results"
    other = read_keep_alive(keep_alive(tmp_path, GET_JOB_URI="http://jobs.example/job"))
    assert other
    assert other.get_job == "http://jobs.example/job"


def test_keep_alive_token_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f" {SECRET}\n")
    settings = read_keep_alive(keep_alive(tmp_path, MODULE_AUTH_TOKEN=str(tmp_path / "token")))
    assert settings
    assert settings.token == SECRET


def test_keep_alive_token_may_be_longer_than_a_path(tmp_path: Path) -> None:
    settings = read_keep_alive(keep_alive(tmp_path, MODULE_AUTH_TOKEN=SECRET * 99))
    assert settings
    assert settings.token == SECRET * 99


@pytest.mark.parametrize("missing", ["MODULE_AUTH_TOKEN", "DEFAULT_CA_PATH"])
def test_keep_alive_needs_its_token_and_trust_store(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{missing}: needed with GET_JOB_URI"):
        read_keep_alive(keep_alive(tmp_path, **{missing: ""}))


# --- the stand-in's settings ------------------------------------------------------------------------------------------


def test_mock_settings_come_from_options_then_the_environment(tmp_path: Path) -> None:
    environ = {
        "MOCK_FOUNDRY_ADDR": "0.0.0.0:9",
        "MOCK_FOUNDRY_INPUT_DIR": str(tmp_path),
        "MOCK_FOUNDRY_UPLOAD_DIR": str(tmp_path / "up"),
        "MOCK_FOUNDRY_STREAM_RIDS": "ri.a, ri.b,,ri.a",
        "MOCK_FOUNDRY_TOKEN": "t",
    }
    settings = read_mock_settings({"addr": "[::1]:0"}, environ)
    assert (settings.host, settings.port, settings.stream_rids, settings.token) == ("::1", 0, ("ri.a", "ri.b"), "t")
    assert (settings.input_dir, settings.upload_dir) == (tmp_path, tmp_path / "up")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("addr", "nonsense", "--addr='nonsense': an address such as 127.0.0.1:8081"),
        ("addr", "127.0.0.1:99999", "an address such as"),
        ("addr", "8081", "--addr='8081': an address such as"),  # `:8081` listens everywhere, on purpose only
        ("input_dir", "/none/at/all", "--input-dir='/none/at/all': no such folder"),
        ("upload_dir", "/dev/null/x", "--upload-dir='/dev/null/x': "),
    ],
)
def test_wrong_mock_settings_are_named(option: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_mock_settings({option: value}, {})
    assert message in str(caught.value)
