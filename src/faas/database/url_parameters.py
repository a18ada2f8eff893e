"""The parameters of a Postgres URL, as libpq defines them: honoured, without effect, or refused by name.

asyncpg takes a parameter that it does not know for a setting of the server, so each one is classified here.
"""

import re
from collections.abc import Mapping

from faas.errors import ConfigurationError

# Parameters that asyncpg, or `faas.database.url`, honours with any value.
_ANY_VALUE = frozenset(
    [
        "application_name",
        "dbname",
        "host",
        "hostaddr",
        "krbsrvname",
        "options",
        "passfile",
        "password",
        "port",
        "service",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslpassword",
        "sslrootcert",
        "user",
    ]
)
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_ACCEPTED_VALUES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    # Only those values that ask for nothing that asyncpg does not do.
    "channel_binding": ("prefer", "disable"),
    "gsslib": ("gssapi",),
    "gssencmode": ("prefer", "disable"),
    "gssdelegation": ("0",),
    "load_balance_hosts": ("disable",),
    "max_protocol_version": ("3.0", "3.2", "latest"),
    "min_protocol_version": ("3.0",),
    "replication": ("false", "off", "no", "0"),
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
}
_INTEGERS = frozenset(
    ["connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"]
)
# Without effect: faas has a name of its own and works in UTF-8, and TLS does not compress.
_IGNORED = frozenset(["client_encoding", "fallback_application_name", "sslcompression"])
ACCEPTED = sorted(_ANY_VALUE | set(_ACCEPTED_VALUES) | _INTEGERS | _IGNORED)

_OPTION = re.compile(r"(?:-c\s*|--)([^\s=]+)=(.*)", re.DOTALL)
_WORD = re.compile(r"(?:\\.|[^\\\s])+", re.DOTALL)


def refused(reason: str) -> ConfigurationError:
    """Return the error for a URL that cannot be used."""
    return ConfigurationError(f"cannot connect to the database: {reason}")


def check(parameters: Mapping[str, str], *, quotable: bool) -> None:
    """Raise ConfigurationError for a parameter or a value that cannot be honoured.

    `quotable` is False when a name or a value may be a part of a password that is not percent-encoded.
    """
    for name, value in parameters.items():
        accepted = _ACCEPTED_VALUES.get(name)
        if name not in ACCEPTED:
            shown = f"the parameter {name!r}" if quotable else "a parameter"
            raise refused(
                f"{shown} of its URL is not accepted; accepted are {', '.join(ACCEPTED)}. A setting of the server is "
                "written options=-c%20NAME=VALUE"
            )
        shown = f"{name}={value}" if quotable else f"the value of {name}"
        if accepted and value not in accepted:
            raise refused(f"{shown} in its URL is not accepted; accepted are {', '.join(accepted)}")
        if name in _INTEGERS and not re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", value):
            raise refused(f"{shown} in its URL is not accepted; accepted is a whole number")


def settings_of_options(options: str) -> dict[str, str]:
    """Return the settings of the parameter `options`: `-c NAME=VALUE` or `--NAME=VALUE`, separated by spaces.

    A backslash escapes a space, as in libpq. Raises ConfigurationError for other options.
    """
    words = [re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in _WORD.findall(options)]
    settings: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word += words.pop(0)
        found = _OPTION.fullmatch(word)
        if not found:
            raise refused(f"options={word} in its URL is not accepted; accepted are -c NAME=VALUE and --NAME=VALUE")
        # In the command line of a server, --NAME stands for the setting with underscores.
        settings[found[1].replace("-", "_")] = found[2]
    return settings
