"""The URL of a database, read as libpq reads it, as arguments of asyncpg.

asyncpg's own reading differs where it matters: unknown parameters become settings of the server, `+` a space, and a
service that does not exist is ignored. Only the parameters of TLS are left to it.
"""

import configparser
import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

import msgspec
from asyncpg.connect_utils import SessionAttribute

from faas.database.tls import TlsArguments, tls_arguments
from faas.database.url_parameters import check, refused, settings_of_options

_FORM = "It is postgresql://user:password@host:port/name, with special characters percent-encoded"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class ConnectArguments(TlsArguments, total=False):
    """The keyword arguments of asyncpg.connect that a URL gives."""

    host: list[str]
    port: list[int]
    user: str
    password: str
    database: str
    passfile: str
    target_session_attrs: SessionAttribute
    krbsrvname: str
    gsslib: Literal["gssapi", "sspi"]


class DatabaseUrl(msgspec.Struct, frozen=True):
    """A parsed URL: keyword `arguments` of asyncpg.connect, `settings` of the session, and the `place` of the server.

    `connect_timeout` is in seconds; None leaves it to the caller.
    """

    arguments: ConnectArguments
    settings: dict[str, str]
    application_name: str | None
    connect_timeout: float | None
    place: str


def parse(url: str) -> DatabaseUrl:
    """Parse `url`. Raises ConfigurationError, whose message has nothing that may be a part of a password."""
    parameters, quotable = _parameters(url)
    if "service" in parameters:
        parameters = _service(parameters["service"]) | parameters
    check(parameters, quotable=quotable)
    hosts, ports = _addresses(parameters, quotable=quotable)
    arguments = _arguments(parameters)
    if hosts:
        arguments["host"] = hosts
    if ports:
        arguments["port"] = ports
    if not hosts or any(not host.startswith("/") for host in hosts):
        arguments = {**arguments, **tls_arguments(parameters)}
    else:  # libpq, too, ignores sslmode on Unix sockets
        arguments["ssl"] = False
    timeout = int(parameters.get("connect_timeout") or 0)
    return DatabaseUrl(
        arguments=arguments,
        settings=settings_of_options(parameters.get("options", "")),
        application_name=parameters.get("application_name"),
        connect_timeout=float(timeout) if timeout > 0 else None,
        place=", ".join(_shown(*address) for address in zip(hosts, ports or [5432] * len(hosts), strict=False)),
    )


def _arguments(parameters: dict[str, str]) -> ConnectArguments:
    """Return the arguments that are neither addresses nor parameters of TLS."""
    arguments: ConnectArguments = {}
    if user := parameters.get("user"):
        arguments["user"] = user
    if password := parameters.get("password"):
        arguments["password"] = password
    if database := parameters.get("dbname"):
        arguments["database"] = database
    if passfile := parameters.get("passfile"):
        arguments["passfile"] = passfile
    if attributes := parameters.get("target_session_attrs"):
        arguments["target_session_attrs"] = SessionAttribute(attributes)
    if krbsrvname := parameters.get("krbsrvname"):
        arguments["krbsrvname"] = krbsrvname
    if "gsslib" in parameters:
        arguments["gsslib"] = "gssapi"
    return arguments


def _malformed(reason: str) -> Exception:
    return refused(f"its URL is malformed: {reason}. {_FORM}")


def _parameters(url: str) -> tuple[dict[str, str], bool]:
    """Return the parameters of `url`, and whether messages may quote from them.

    They may not when an `@` follows the host: then what looks like a port, a name or a parameter may be the rest of
    a password with special characters.
    """
    scheme = _SCHEME.match(url)
    if not scheme or scheme[1] not in ("postgresql", "postgres"):
        begins = f"it begins with {scheme[0]}" if scheme else "it has no scheme"
        raise _malformed(f"{begins}; accepted are postgresql:// and postgres://")
    if "#" in url:
        raise _malformed("it contains #, which is written %23")
    if any(ord(character) < ord(" ") for character in url):
        raise _malformed("it contains a line break or another control character")
    rest = url[scheme.end() :]
    parameters: dict[str, str] = {}
    if credentials := re.match(r"([^/@]*)@", rest):
        rest = rest[credentials.end() :]
        user, _, password = credentials[1].partition(":")
        parameters |= {"user": _decoded(user), "password": _decoded(password)}
    location, _, query = rest.partition("?")
    authority, _, name = location.partition("/")
    parameters["dbname"] = _decoded(name)
    hosts, ports = [], []
    for address in authority.split(","):
        host, port = _split_address(address)
        hosts.append(_decoded(host))
        ports.append(_decoded(port))
    parameters["host"] = ",".join(hosts)
    if any(ports):
        parameters["port"] = ",".join(ports)
    for pair in query.split("&") if query else []:
        key, separator, value = pair.partition("=")
        if not separator or "=" in value:
            raise _malformed("a parameter is not NAME=VALUE; a = in a value is written %3D")
        key = _decoded(key)
        if key == "ssl" and value == "true":  # as JDBC writes it
            key, value = "sslmode", "require"
        parameters[key] = _decoded(value)
    return {key: value for key, value in parameters.items() if value}, "@" not in rest


def _split_address(address: str) -> tuple[str, str]:
    if not address.startswith("["):
        host, _, port = address.partition(":")
        return host, port
    found = re.fullmatch(r"\[([^\]]+)\](?::(.*))?", address)
    if not found:
        raise _malformed("an IPv6 address is written [::1] or [::1]:5432")
    return found[1], found[2] or ""


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", text):
        raise _malformed("a % is not followed by two hexadecimal digits; the character itself is written %25")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _malformed("a percent-encoded character is not UTF-8") from None


def _addresses(parameters: dict[str, str], *, quotable: bool) -> tuple[list[str], list[int]]:
    """Return the hosts, and as many ports. Without hosts there is at most one port."""
    if "host" in parameters and "hostaddr" in parameters:
        raise refused("hostaddr beside a host in its URL is not accepted; give one of them")
    hosts = [host for host in (parameters.get("host") or parameters.get("hostaddr") or "").split(",") if host]
    ports = []
    for port in parameters["port"].split(",") if "port" in parameters else []:
        if port and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
            # Without digits alone it may be a password, in a URL that lacks its `@`.
            shown = f" {port!r}" if quotable and port.isdecimal() else ""
            raise _malformed(
                f"the port{shown} is not a number from 1 to 65535 (an IPv6 address is written in brackets)"
            )
        ports.append(int(port or 5432))
    if len(ports) == 1:
        ports *= max(len(hosts), 1)
    elif ports and len(ports) != len(hosts):
        raise refused(f"its URL has {len(ports)} ports for {len(hosts)} hosts")
    return hosts, ports


def _service(name: str) -> dict[str, str]:
    """Return the parameters of a service of libpq's service file."""
    file = Path(os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf")
    services = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    try:
        services.read_string(file.read_text())
        return dict(services[name])
    except OSError as error:
        raise refused(f"service={name} in its URL needs the file {file}: {error.strerror}") from None
    except (KeyError, configparser.Error, UnicodeDecodeError):
        raise refused(f"the service {name!r} of its URL is not in {file}, or the file is malformed") from None


def _shown(host: str, port: int) -> str:
    if host.startswith("/"):
        return host
    return f"{quote(host, safe='[]:.%-_')}:{port}"
