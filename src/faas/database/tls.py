"""The parameters of TLS in the URL of a database, as arguments of asyncpg."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext
from typing import Literal, TypedDict
from urllib.parse import quote, urlencode

from faas.database.url_parameters import refused

_PARAMETERS = [
    "sslmode",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
]
WITHOUT_ROOT_CERTIFICATE = (
    "give sslrootcert=FILE, or sslrootcert=system with sslmode=verify-full for the authorities that the system trusts; "
    "sslmode=require encrypts without verifying the server"
)


class TlsArguments(TypedDict, total=False):
    """The arguments of asyncpg.connect for TLS."""

    dsn: str
    ssl: SSLContext | Literal[False]
    direct_tls: bool


def tls_arguments(parameters: Mapping[str, str]) -> TlsArguments:
    """Return the arguments of asyncpg.connect for TLS. Raises ConfigurationError for a file that cannot be used."""
    given = {name: parameters[name] for name in _PARAMETERS if parameters.get(name)}
    if given.get("sslrootcert") == "system":
        return _arguments_for_system_authorities(given)
    _check_files(given)
    if not given:
        return {}
    # asyncpg takes these in a URL only. It decodes a + as a space, and quote writes none.
    return {"dsn": f"postgresql://?{urlencode(given, quote_via=quote)}"}


def _arguments_for_system_authorities(given: dict[str, str]) -> TlsArguments:
    if given.get("sslmode", "verify-full") != "verify-full":
        raise refused(
            f"sslmode={given['sslmode']} in its URL is too weak for sslrootcert=system; accepted is verify-full"
        )
    del given["sslrootcert"]
    _check_files(given)
    context = ssl.create_default_context()
    context.minimum_version = _version(given.get("ssl_min_protocol_version", "TLSv1.2"))
    if "ssl_max_protocol_version" in given:
        context.maximum_version = _version(given["ssl_max_protocol_version"])
    if "sslcert" in given:
        context.load_cert_chain(given["sslcert"], given.get("sslkey"), given.get("sslpassword", ""))
    if "sslcrl" in given:
        context.load_verify_locations(given["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    context.set_alpn_protocols(["postgresql"])
    return {"ssl": context, "direct_tls": given.get("sslnegotiation") == "direct"}


def _version(name: str) -> ssl.TLSVersion:
    return ssl.TLSVersion[name.replace(".", "_")]


def _check_files(given: Mapping[str, str]) -> None:
    """Load each file, because the errors of OpenSSL do not name it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("sslrootcert", "sslcrl", "sslcert", "sslkey"):
        if name not in given:
            continue
        way_out = f"; {WITHOUT_ROOT_CERTIFICATE}" if name == "sslrootcert" else ""
        try:
            with Path(given[name]).open("rb"):
                pass
            if name in ("sslrootcert", "sslcrl"):
                context.load_verify_locations(given[name])
            elif name == "sslcert":
                context.load_cert_chain(given[name], given.get("sslkey"), lambda: given.get("sslpassword", ""))
        except ssl.SSLError:
            raise refused(
                f"{name}={given[name]} in its URL: the file, or its key, is not what OpenSSL reads{way_out}"
            ) from None
        except OSError as error:
            raise refused(f"{name}={given[name]} in its URL: {error.strerror}{way_out}") from None
