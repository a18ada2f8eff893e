"""The environment that Foundry gives to a compute module, with the files that its variables name.

Every file is read and checked here, before the first request.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec
import yaml

from faas.compute_module.redaction import redact
from faas.compute_module.secret_files import names_file, read_secret
from faas.compute_module.setting_types import parse_url
from faas.compute_module.settings import FoundryVariables
from faas.errors import ConfigurationError

DEFAULT_BRANCH = "master"
_LOOPBACK_NAMES = {"localhost", "::1"}


class DatasetRef(msgspec.Struct, frozen=True):
    """A branch of a dataset or of a stream."""

    rid: str
    branch: str


class FoundryEnvironment(msgspec.Struct, frozen=True):
    """The URLs of Foundry's services, the bearer token (a secret), and the datasets that the aliases refer to."""

    api: str
    stream_proxy: str
    token: str
    aliases: Mapping[str, DatasetRef]
    ca_path: Path | None = None

    def resolve_alias(self, alias: str) -> DatasetRef:
        """Return the dataset of `alias`. Raises ConfigurationError when there is none."""
        if alias not in self.aliases:
            known = ", ".join(self.aliases) or "none"
            raise ConfigurationError(f"RESOURCE_ALIAS_MAP: no alias {alias!r}; it has {known}")
        dataset = self.aliases[alias]
        if not dataset.rid:
            raise ConfigurationError(f"RESOURCE_ALIAS_MAP: the alias {alias!r} has no rid")
        return dataset


class KeepAliveSettings(msgspec.Struct, frozen=True):
    """The URLs of the job endpoint and its token (a secret)."""

    get_job: str
    post_result: str
    token: str
    ca_path: Path


def read_environment(variables: FoundryVariables) -> FoundryEnvironment:
    """Return the environment of a run in Foundry.

    Raises ConfigurationError, whose message names the variable and contains no secret.
    """
    api, stream_proxy = _service_urls(variables)
    return FoundryEnvironment(
        api=api,
        stream_proxy=stream_proxy,
        token=_read_token(variables.token),
        aliases=_read_aliases(variables.alias_map),
        ca_path=_check_ca_path(variables.ca_path),
    )


def read_keep_alive(variables: FoundryVariables) -> KeepAliveSettings | None:
    """Return the settings of the keep-alive, None when one of its two URIs is not set. Raises ConfigurationError."""
    if not variables.get_job_uri or not variables.post_result_uri:
        return None
    ca_path = _check_ca_path(variables.ca_path)
    if not variables.module_auth_token:
        raise ConfigurationError("MODULE_AUTH_TOKEN: needed with GET_JOB_URI and POST_RESULT_URI")
    if ca_path is None:
        raise ConfigurationError("DEFAULT_CA_PATH: needed with GET_JOB_URI and POST_RESULT_URI")
    return KeepAliveSettings(
        get_job=_use_ipv4_loopback(_parse_url_of("GET_JOB_URI", variables.get_job_uri)),
        post_result=_use_ipv4_loopback(_parse_url_of("POST_RESULT_URI", variables.post_result_uri)),
        token=read_secret(variables.module_auth_token, "MODULE_AUTH_TOKEN"),
        ca_path=ca_path,
    )


def create_tls_context(ca_path: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the certificates in `ca_path` alone, or the system's without it.

    Raises ConfigurationError when the file cannot be read or contains no certificate.
    """
    if ca_path is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=ca_path)
    except ssl.SSLError:
        raise ConfigurationError(f"DEFAULT_CA_PATH={str(ca_path)!r}: it holds no certificate in PEM form") from None
    except OSError as error:
        raise ConfigurationError(f"DEFAULT_CA_PATH={str(ca_path)!r}: {error.strerror}") from None
    if not context.cert_store_stats()["x509"]:
        raise ConfigurationError(f"DEFAULT_CA_PATH={str(ca_path)!r}: it holds no certificate in PEM form")
    return context


def _parse_url_of(variable: str, text: str) -> str:
    try:
        return parse_url(text)
    except ValueError as error:
        raise ConfigurationError(f"{variable}={redact(text)!r}: {error}") from None


def _read_text(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{variable}={path!r}: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError):
        raise ConfigurationError(f"{variable}={path!r}: not a text file") from None


def _service_urls(variables: FoundryVariables) -> tuple[str, str]:
    """Return the URLs of the API gateway and of the stream-proxy."""
    if variables.service_discovery:
        return _discover_services(variables.service_discovery)
    if not variables.url:
        raise ConfigurationError("FOUNDRY_URL: needed, or FOUNDRY_SERVICE_DISCOVERY_V2 with the path of a file")
    base = _parse_url_of("FOUNDRY_URL", variables.url if "://" in variables.url else f"https://{variables.url}")
    return f"{base}/api", f"{base}/stream-proxy/api"


def _discover_services(path: str) -> tuple[str, str]:
    variable = "FOUNDRY_SERVICE_DISCOVERY_V2"
    try:
        # BaseLoader makes texts only. The constructors of SafeLoader raise other exceptions for wrong dates and tags.
        services = yaml.load(_read_text(variable, path), Loader=yaml.BaseLoader)  # noqa: S506 - it creates no objects
    except (yaml.YAMLError, RecursionError):
        raise ConfigurationError(f"{variable}={path!r}: not YAML") from None
    urls = []
    for service in ("api_gateway", "stream_proxy"):
        listed = None
        if isinstance(services, dict):  # Foundry writes the names with underscores or with hyphens
            listed = services.get(service) or services.get(service.replace("_", "-"))
        if not isinstance(listed, list) or not listed or not isinstance(listed[0], str):
            raise ConfigurationError(f"{variable}={path!r}: no address under {service}; it is a list of URLs")
        urls.append(_parse_url_of(f"{variable}: {service}", listed[0]))
    return urls[0], urls[1]


def _read_token(path: str) -> str:
    if not path:
        raise ConfigurationError("BUILD2_TOKEN: needed, the path of a file that holds the bearer token")
    if not names_file(path):
        # The value is not shown: it may be the token itself, set by mistake.
        raise ConfigurationError("BUILD2_TOKEN: the file that it names does not exist")
    return read_secret(path, "BUILD2_TOKEN")


class _AliasEntry(msgspec.Struct):
    """An entry of the alias map's file."""

    rid: str | None = None
    branch: str | None = None


def _read_aliases(path: str) -> dict[str, DatasetRef]:
    if not path:
        raise ConfigurationError("RESOURCE_ALIAS_MAP: needed, the path of a file that maps aliases to datasets")
    try:
        entries = msgspec.json.decode(_read_text("RESOURCE_ALIAS_MAP", path), type=dict[str, _AliasEntry])
    except (msgspec.MsgspecError, RecursionError):
        raise ConfigurationError(
            f'RESOURCE_ALIAS_MAP={path!r}: not JSON of the form {{"alias": {{"rid": "ri.…", "branch": "…"}}}}'
        ) from None
    return {
        alias: DatasetRef((entry.rid or "").strip(), (entry.branch or "").strip() or DEFAULT_BRANCH)
        for alias, entry in entries.items()
    }


def _check_ca_path(text: str) -> Path | None:
    if not text:
        return None
    create_tls_context(Path(text))
    return Path(text)


def _use_ipv4_loopback(url: str) -> str:
    """Return `url` with 127.0.0.1 in place of `localhost` and `::1`, where the job endpoint may not listen."""
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK_NAMES:
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"127.0.0.1{port}"))
