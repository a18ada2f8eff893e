"""What Foundry tells a compute module through its environment, and the only place of this room that reads it.

Files that variables name are read here as well, so that whatever is wrong with them is known before the first call.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec
import yaml

from faas.compute_module.pipeline.enrichers.credentials import names_file, read_secret
from faas.compute_module.pipeline.settings import parse_url
from faas.compute_module.redaction import redact
from faas.errors import ConfigurationError

DEFAULT_BRANCH = "master"
_LOCAL_HOSTS = {"localhost", "::1"}


class Dataset(msgspec.Struct, frozen=True):
    """A branch of a dataset or a stream."""

    rid: str
    branch: str


class Environment(msgspec.Struct, frozen=True):
    """Where Foundry is, who we are to it, and what the aliases stand for. `token` is a secret."""

    api: str
    stream_proxy: str
    token: str
    aliases: Mapping[str, Dataset]
    ca_path: Path | None = None

    def dataset(self, alias: str) -> Dataset:
        """What `alias` stands for. Raises ConfigurationError when it stands for nothing."""
        if alias not in self.aliases:
            known = ", ".join(self.aliases) or "none"
            raise ConfigurationError(f"RESOURCE_ALIAS_MAP: no alias {alias!r}; it has {known}")
        dataset = self.aliases[alias]
        if not dataset.rid:
            raise ConfigurationError(f"RESOURCE_ALIAS_MAP: the alias {alias!r} has no rid")
        return dataset


class KeepAliveSettings(msgspec.Struct, frozen=True):
    """Where jobs come from and results go. `token` is a secret."""

    get_job: str
    post_result: str
    token: str
    ca_path: Path


class MockSettings(msgspec.Struct, frozen=True):
    """What the stand-in is started with."""

    host: str
    port: int
    input_dir: Path
    upload_dir: Path
    stream_rids: tuple[str, ...]
    token: str | None


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """The environment of a Foundry run. Raises ConfigurationError, which names the variable and no secret."""
    environ = os.environ if environ is None else environ
    api, stream_proxy = _services(environ)
    return Environment(
        api=api,
        stream_proxy=stream_proxy,
        token=_token(environ),
        aliases=_aliases(environ),
        ca_path=_ca_path(environ),
    )


def read_keep_alive(environ: Mapping[str, str] | None = None) -> KeepAliveSettings | None:
    """The keep-alive's settings; None when it is off, which is when one of its two addresses is not set."""
    environ = os.environ if environ is None else environ
    get_job, post_result = _value(environ, "GET_JOB_URI"), _value(environ, "POST_RESULT_URI")
    if not get_job or not post_result:
        return None
    token, ca_path = _value(environ, "MODULE_AUTH_TOKEN"), _ca_path(environ)
    if not token:
        raise ConfigurationError("MODULE_AUTH_TOKEN: needed with GET_JOB_URI and POST_RESULT_URI")
    if ca_path is None:
        raise ConfigurationError("DEFAULT_CA_PATH: needed with GET_JOB_URI and POST_RESULT_URI")
    return KeepAliveSettings(
        get_job=_numeric_host(_url("GET_JOB_URI", get_job)),
        post_result=_numeric_host(_url("POST_RESULT_URI", post_result)),
        token=read_secret(token, "MODULE_AUTH_TOKEN"),
        ca_path=ca_path,
    )


def read_mock_settings(options: Mapping[str, str | None], environ: Mapping[str, str] | None = None) -> MockSettings:
    """The stand-in's settings: an option beats its MOCK_FOUNDRY_… variable, which beats the default."""
    environ = os.environ if environ is None else environ

    def said(name: str) -> tuple[str, str]:
        option, variable = options.get(name), "MOCK_FOUNDRY_" + name.upper()
        if option is not None:
            return "--" + name.replace("_", "-"), option.strip()
        return variable, _value(environ, variable)

    origin, address = said("addr")
    host, colon, port = (address or "127.0.0.1:8081").rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ConfigurationError(f"{origin}={address!r}: an address such as 127.0.0.1:8081")
    origin, inputs = said("input_dir")
    if inputs and not Path(inputs).is_dir():
        raise ConfigurationError(f"{origin}={inputs!r}: no such folder")
    origin, uploads = said("upload_dir")
    upload_dir = Path(uploads or "uploads")
    try:
        upload_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{origin}={str(upload_dir)!r}: {error.strerror}") from None
    return MockSettings(
        host=host.strip("[]") or "0.0.0.0",  # noqa: S104 - `:8081` asks for every address
        port=int(port),
        input_dir=Path(inputs or "inputs"),
        upload_dir=upload_dir,
        stream_rids=tuple(dict.fromkeys(rid.strip() for rid in said("stream_rids")[1].split(",") if rid.strip())),
        token=said("token")[1] or None,
    )


def trust(ca_path: Path | None) -> ssl.SSLContext:
    """What TLS connections trust: the certificates in `ca_path` and no others, or the usual ones without it."""
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


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _url(name: str, text: str) -> str:
    try:
        return parse_url(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}={redact(text)!r}: {error}") from None


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{name}={path!r}: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError):
        raise ConfigurationError(f"{name}={path!r}: not a text file") from None


def _services(environ: Mapping[str, str]) -> tuple[str, str]:
    """The addresses of the API gateway and of the stream-proxy."""
    path = _value(environ, "FOUNDRY_SERVICE_DISCOVERY_V2")
    if path:
        return _discovered(path)
    url = _value(environ, "FOUNDRY_URL")
    if not url:
        raise ConfigurationError("FOUNDRY_URL: needed, or FOUNDRY_SERVICE_DISCOVERY_V2 with the path of a file")
    base = _url("FOUNDRY_URL", url if "://" in url else f"https://{url}")
    return f"{base}/api", f"{base}/stream-proxy/api"


def _discovered(path: str) -> tuple[str, str]:
    name = "FOUNDRY_SERVICE_DISCOVERY_V2"
    try:
        # only texts: what the safe loader makes of dates and tags raises whatever Python raises for them
        services = yaml.load(_read(name, path), Loader=yaml.BaseLoader)  # noqa: S506 - it makes no objects
    except (yaml.YAMLError, RecursionError):
        raise ConfigurationError(f"{name}={path!r}: not YAML") from None
    addresses = []
    for service in ("api_gateway", "stream_proxy"):
        listed = None
        if isinstance(services, dict):  # Foundry itself writes either
            listed = services.get(service) or services.get(service.replace("_", "-"))
        if not isinstance(listed, list) or not listed or not isinstance(listed[0], str):
            raise ConfigurationError(f"{name}={path!r}: no address under {service}; it is a list of URLs")
        addresses.append(_url(f"{name}: {service}", listed[0]))
    return addresses[0], addresses[1]


def _token(environ: Mapping[str, str]) -> str:
    path = _value(environ, "BUILD2_TOKEN")
    if not path:
        raise ConfigurationError("BUILD2_TOKEN: needed, the path of a file that holds the bearer token")
    if not names_file(path):
        # not shown: someone may have set the token itself
        raise ConfigurationError("BUILD2_TOKEN: the file that it names does not exist")
    return read_secret(path, "BUILD2_TOKEN")


def _aliases(environ: Mapping[str, str]) -> dict[str, Dataset]:
    class Entry(msgspec.Struct):
        rid: str | None = None
        branch: str | None = None

    path = _value(environ, "RESOURCE_ALIAS_MAP")
    if not path:
        raise ConfigurationError("RESOURCE_ALIAS_MAP: needed, the path of a file that says what the aliases stand for")
    try:
        entries = msgspec.json.decode(_read("RESOURCE_ALIAS_MAP", path), type=dict[str, Entry])
    except (msgspec.MsgspecError, RecursionError):
        raise ConfigurationError(
            f'RESOURCE_ALIAS_MAP={path!r}: not JSON of the form {{"alias": {{"rid": "ri.…", "branch": "…"}}}}'
        ) from None
    return {
        alias: Dataset((entry.rid or "").strip(), (entry.branch or "").strip() or DEFAULT_BRANCH)
        for alias, entry in entries.items()
    }


def _ca_path(environ: Mapping[str, str]) -> Path | None:
    text = _value(environ, "DEFAULT_CA_PATH")
    if not text:
        return None
    trust(Path(text))
    return Path(text)


def _numeric_host(url: str) -> str:
    """`url` with 127.0.0.1 in place of a name for this machine, which may resolve to an address nobody listens on."""
    parts = urlsplit(url)
    if parts.hostname not in _LOCAL_HOSTS:
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"127.0.0.1{port}"))
