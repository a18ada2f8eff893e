"""HTTP client of the commands, for the server at `--url` or FAAS_URL."""

import ssl
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click
import httpx

from faas import settings
from faas.cli.credentials import Credentials, find_credentials
from faas.cli.output import print_text
from faas.cli.sources import read_text_argument
from faas.errors import ConfigurationError, FaasError
from faas.web_origin import is_loopback


class ServerError(FaasError):
    """Raised when the server answers a command with an error or cannot be reached."""


class Client:
    """Sends requests to the API, with the token of the user, and raises ServerError for error responses.

    Raises ConfigurationError for a URL or a token that is not accepted. The token goes to the origin of `url` alone.
    """

    def __init__(
        self, url: str, credentials: Credentials | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        url = read_text_argument(url, "--url")
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"--url {url!r}: accepted is a URL that begins with http:// or https://")
        self._credentials = credentials or find_credentials()
        try:
            # A proxy from the environment would also be used for 127.0.0.1. Redirects could lead to another server.
            self._http = httpx.Client(
                base_url=url,
                timeout=httpx.Timeout(30, read=None),
                trust_env=False,
                follow_redirects=False,
                verify=_trusting_context() if url.startswith("https://") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                transport=transport,
            )
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"--url {url!r}: {error}") from None
        self._origin = _origin(self._http.base_url)
        self.url = url.rstrip("/")
        if self._credentials.token is not None:
            self._check_token_may_be_sent(self._credentials.origin)

    def call(self, method: str, path: str, *, accept: tuple[int, ...] = (), **arguments: Any) -> httpx.Response:
        """Return the response. Raises ServerError for an error status that is not in `accept`, or without response."""
        try:
            request = self._http.build_request(method, path, **arguments)
            if _origin(request.url) != self._origin:
                raise ServerError(f"{self.url} refers to another server, {request.url.host}, which is not asked")
            if self._credentials.token is not None:
                request.headers["Authorization"] = f"Bearer {self._credentials.token}"
            response = self._http.send(request)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise ServerError(f"no answer from {self.url}: {reason}. {_way_out(error)}") from None
        if response.has_redirect_location:
            raise ServerError(
                f"{self.url} answered {response.status_code} and refers to {response.headers['Location'][:200]!r}, "
                "which is not followed; pass the address of the server with --url"
            )
        if response.is_error and response.status_code not in accept:
            raise ServerError(self._describe(response))
        return response

    def pages(self, path: str, limit: int = sys.maxsize, **parameters: str | None) -> list[dict[str, Any]]:
        """Return up to `limit` items of a paginated list."""
        items: list[dict[str, Any]] = []
        query = {name: value for name, value in parameters.items() if value is not None}
        next_page: str | None = f"{path}?{httpx.QueryParams({**query, 'limit': str(min(limit, 200))})}"
        while next_page and len(items) < limit:
            response = self.call("GET", next_page)
            items += response.json()
            next_page = response.links.get("next", {}).get("url")
        return items[:limit]

    def _check_token_may_be_sent(self, origin: str) -> None:
        url = self._http.base_url
        if url.userinfo:
            raise ConfigurationError(
                f"the URL has a user, and {origin} a token: leave one of them out, as a request has one Authorization"
            )
        if url.scheme == "http" and not is_loopback(url.host):
            print_text(
                f"faas: warning: the token is sent to {url.host} over http, where others can read it; use https",
                fg="yellow",
                err=True,
            )

    def _describe(self, response: httpx.Response) -> str:
        """Return what the server says of an error, and what to do about the token."""
        credentials = self._credentials
        asks_for_token = response.headers.get("WWW-Authenticate", "").lower().startswith("bearer")
        if response.status_code == httpx.codes.UNAUTHORIZED and asks_for_token:
            if credentials.token is None:
                return (
                    f"{self.url} asks for a token. {credentials.origin}: pass one in FAAS_TOKEN or ~/.config/faas/token"
                )
            return (
                f"{self.url} does not admit the token in {credentials.origin}: it is unknown, revoked or expired; "
                "an operator makes another with `faas token create`"
            )
        if response.status_code == httpx.codes.FORBIDDEN and credentials.token is not None:
            return f"{_detail(response)}; the one in {credentials.origin} does not allow it"
        return _detail(response)


def _trusting_context() -> ssl.SSLContext:
    """Return a context that trusts the authorities of FAAS_CA_FILE, else the system's, else those that httpx carries.

    OpenSSL finds the system's, and reads SSL_CERT_FILE and SSL_CERT_DIR, which replace them. Where it was built for
    another system than this one, as in dist/faas, it may find none.
    """
    file, paths = settings.ca_file(), ssl.get_default_verify_paths()
    if file is None and not (paths.cafile or paths.capath):
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        reason = "no certificate in PEM in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"FAAS_CA_FILE={file!r}: {reason}; accepted is a file of certificates") from None


def _way_out(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            "Pass a name of the certificate with --url; if it is self-signed, or its authority is your own, "
            "name the file in FAAS_CA_FILE"
        )
    if "WRONG_VERSION_NUMBER" in str(error):
        return "The server does not speak TLS there; pass a URL that begins with http:// with --url or FAAS_URL"
    if isinstance(error, httpx.RemoteProtocolError):
        return "If the server speaks TLS there, pass a URL that begins with https:// with --url or FAAS_URL"
    return "Is `faas serve` running? Pass another address with --url or FAAS_URL"


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the parameters `client` (--url) and `as_json` (--json) to a command that uses a server."""

    def connect(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Client:
        return Client(settings.server_url(value))

    function = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
    return click.option(
        "--url",
        "client",
        metavar="URL",
        callback=connect,
        help=f"URL of the server.  [env: FAAS_URL; default: {settings.DEFAULT_SERVER}]",
    )(function)


def function_path(reference: str, *rest: str) -> str:
    """Return the path of a function. The reference is quoted, since only the server validates it."""
    if not reference:
        raise ConfigurationError("the name is empty")
    return "/".join(["/functions", quote(read_text_argument(reference, f"the name {reference}"), safe="@"), *rest])


def endpoint(client: Client, name: str) -> str:
    """Return the URL at which the function `name` answers HTTP requests."""
    return f"{client.url}/f/{quote(name)}/"


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _detail(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code} to {response.request.method} {response.request.url.path}"
