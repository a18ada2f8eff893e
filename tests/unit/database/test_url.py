"""URLs of databases: read as psql reads them, and refused for the reason that holds."""

import ssl
from pathlib import Path

import pytest

from faas.database.tls import tls_arguments
from faas.database.url import parse
from faas.errors import ConfigurationError

PASSWORD = "s3cret"


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("postgresql://db", {"host": ["db"]}),
        ("postgres://app:pw@db:6432/faas", {"user": "app", "password": "pw", "port": [6432], "database": "faas"}),
        ("postgresql://a%40b:p%2F%3F%23%25+@db/fa%20as", {"user": "a@b", "password": "p/?#%+", "database": "fa as"}),
        ("postgresql://db/faas?user=other&password=a+b%2B", {"user": "other", "password": "a+b+"}),
        ("postgresql://app@db?user=other", {"user": "other"}),
        ("postgresql://[::1]:5433,[fe80::1%25eth0]/faas", {"host": ["::1", "fe80::1%eth0"], "port": [5433, 5432]}),
        ("postgresql://a,b:5433,c/faas", {"host": ["a", "b", "c"], "port": [5432, 5433, 5432]}),
        ("postgresql:///faas?host=a,b&port=1,2", {"host": ["a", "b"], "port": [1, 2]}),
        ("postgresql:///faas?host=a,b&port=7", {"host": ["a", "b"], "port": [7, 7]}),
        ("postgresql:///faas?hostaddr=10.0.0.1", {"host": ["10.0.0.1"]}),
        ("postgresql://%2Frun%2Fpg:5433/faas", {"host": ["/run/pg"], "port": [5433], "ssl": False}),
        ("postgresql://app@/faas?host=/run/pg&sslmode=verify-full", {"host": ["/run/pg"], "ssl": False}),
        ("postgresql://:5433/faas", {"port": [5433]}),
        ("postgresql:///faas?dbname=other&passfile=/x/pass", {"database": "other", "passfile": "/x/pass"}),
        ("postgresql://db?sslmode=require", {"dsn": "postgresql://?sslmode=require"}),
        ("postgresql://db?ssl=true", {"dsn": "postgresql://?sslmode=require"}),
        ("postgresql://db?target_session_attrs=read-write", {"target_session_attrs": "read-write"}),
    ],
)
def test_url_parameters_are_read_as_psql_reads_them(url: str, arguments: dict[str, object]) -> None:
    found = dict(parse(url).arguments)
    assert {name: found.get(name) for name in arguments} == arguments


@pytest.mark.parametrize(
    "parameters",
    [
        "connect_timeout=10",
        "channel_binding=prefer",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=1000",
        "gssencmode=disable&sslsni=1&sslcertmode=allow&sslcompression=0",
        "client_encoding=auto&fallback_application_name=x&load_balance_hosts=disable",
        "min_protocol_version=3.0&max_protocol_version=latest&replication=false",
        "application_name=orders",
        "options=-c%20statement_timeout=5s".replace("=5s", "%3D5s"),
        *(f"sslmode={mode}" for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")),
        *(f"target_session_attrs={name}" for name in ("any", "read-write", "primary", "prefer-standby")),
    ],
)
def test_url_parameters_of_libpq_never_become_settings_of_the_server(parameters: str) -> None:
    target = parse(f"postgresql://db/faas?{parameters}")
    assert set(target.arguments) <= {"host", "database", "dsn", "target_session_attrs"}
    assert target.settings == ({"statement_timeout": "5s"} if "options" in parameters else {})
    assert target.connect_timeout == (10 if "connect_timeout" in parameters else None)
    assert target.application_name == ("orders" if parameters.startswith("application_name") else None)


@pytest.mark.parametrize("timeout", ["0", "-1", ""])
def test_url_parameters_without_a_timeout_leave_the_usual_one(timeout: str) -> None:
    assert parse(f"postgresql://db?connect_timeout={timeout}").connect_timeout is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://db?schema=app", "the parameter 'schema' of its URL is not accepted; accepted are application_"),
        ("postgresql://db?search_path=app", "A setting of the server is written options=-c%20NAME=VALUE"),
        ("postgresql://db?pgbouncer=true", "the parameter 'pgbouncer'"),
        ("postgresql://db?channel_binding=require", "channel_binding=require in its URL is not accepted; accepted are"),
        ("postgresql://db?gssencmode=require", "gssencmode=require"),
        ("postgresql://db?require_auth=scram-sha-256", "the parameter 'require_auth'"),
        ("postgresql://db?replication=database", "replication=database"),
        ("postgresql://db?sslmode=parse", "sslmode=parse in its URL is not accepted; accepted are disable, allow"),
        ("postgresql://db?target_session_attrs=rw", "target_session_attrs=rw in its URL is not accepted"),
        ("postgresql://db?connect_timeout=10s", "connect_timeout=10s in its URL is not accepted; accepted is a whole"),
        ("postgresql://db?options=-e", "options=-e in its URL is not accepted; accepted are -c NAME=VALUE"),
        ("postgresql://db?host=a&hostaddr=10.0.0.1", "hostaddr beside a host"),
        ("postgresql:///faas?host=a,b&port=1,2,3", "its URL has 3 ports for 2 hosts"),
        ("postgresql://db:543x/faas", "malformed: the port is not a number from 1 to 65535"),
        ("postgresql://db:65536/faas", "malformed: the port '65536'"),
        ("postgresql://::1/faas", "an IPv6 address is written in brackets"),
        ("postgresql://[::1/faas", "malformed: an IPv6 address is written [::1]"),
        ("postgresql+asyncpg://db/faas", "malformed: it begins with postgresql+asyncpg://; accepted are postgresql://"),
        ("host=db dbname=faas", "malformed: it has no scheme"),
        ("postgresql://db/faas?sslmode", "malformed: a parameter is not NAME=VALUE"),
        ("postgresql://db/faas?options=-c a=b", "a = in a value is written %3D"),
        ("postgresql://app:100%@db/faas", "malformed: a % is not followed by two hexadecimal digits"),
        ("postgresql://app:%FF@db/faas", "malformed: a percent-encoded character is not UTF-8"),
        ("postgresql://app:a#b@db/faas", "malformed: it contains #, which is written %23"),
        ("postgresql://db/faas\n", "malformed: it contains a line break"),
    ],
)
def test_url_parameters_that_cannot_be_honoured_are_refused_by_name(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot connect to the database: ") as refused:
        parse(url)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:12/{PASSWORD}@db/faas",
        f"postgresql://app:{PASSWORD}/x@db/faas",
        f"postgresql://app:12#{PASSWORD}@db/faas",
        f"postgresql://app:x/y?{PASSWORD}=z@db/faas",
        f"postgresql://app:[{PASSWORD}@db:x/faas",
        f"app:{PASSWORD}@db/faas",
        f"//app:{PASSWORD}@db/faas",
        f"postgresql://app:{PASSWORD}",
        f"postgresql://app:{PASSWORD}/faas",
        f"postgresql://app:a/b?sslmode={PASSWORD}@db/faas",
        f"postgresql://app:a/b?connect_timeout={PASSWORD}@db/faas",
        PASSWORD,
    ],
)
def test_url_parameters_in_messages_are_no_part_of_a_password(url: str) -> None:
    said = ""
    try:
        parse(url)
    except ConfigurationError as refused:
        said = str(refused)
    assert PASSWORD not in said


def test_url_parameters_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "services"
    file.write_text("# ours\n[orders]\nhost=db\nport=6432\nuser=app\npassword=50%#\ndbname=faas\nsslmode=require\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    found = parse("postgresql://other@?service=orders").arguments
    assert (found["host"], found["port"], found["user"], found["password"]) == (["db"], [6432], "other", "50%#")
    with pytest.raises(ConfigurationError, match="the service 'missing' of its URL is not in"):
        parse("postgresql://?service=missing")
    file.write_text("[orders]\nhost=db\nschema=x\n")
    with pytest.raises(ConfigurationError, match="the parameter 'schema'"):
        parse("postgresql://?service=orders")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="none: No such file"):
        parse("postgresql://?service=orders")


def test_url_parameters_of_the_system_authorities() -> None:
    context = tls_arguments({"sslrootcert": "system"})["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    with pytest.raises(ConfigurationError, match="sslmode=require in its URL is too weak for sslrootcert=system"):
        tls_arguments({"sslrootcert": "system", "sslmode": "require"})


@pytest.mark.parametrize("name", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
def test_url_parameters_name_files_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file.pem"
    for mode in ("require", "verify-ca", "verify-full"):
        with pytest.raises(ConfigurationError, match=f"{name}={file} in its URL: No such file or directory"):
            tls_arguments({"sslmode": mode, name: str(file)})
    if name != "sslkey":  # a key is read together with its certificate
        file.write_text("no certificate")
        with pytest.raises(ConfigurationError, match=f"{name}={file} in its URL: the file, or its key, is not what"):
            tls_arguments({name: str(file)})
