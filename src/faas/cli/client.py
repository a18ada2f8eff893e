"""HTTP client of the commands, for the server at `--url` or FAAS_URL."""

import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click
import httpx

from faas import settings
from faas.cli.sources import read_text_argument
from faas.errors import ConfigurationError, FaasError


class ServerError(FaasError):
    """Raised when the server answers a command with an error or cannot be reached."""


class Client:
    """Sends requests to the API, and raises ServerError for error responses."""

    def __init__(self, url: str) -> None:
        url = read_text_argument(url, "--url")
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"--url {url!r}: accepted is a URL that begins with http:// or https://")
        # A proxy from the environment would also be used for 127.0.0.1.
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(30, read=None),
            trust_env=False,
            verify=_trusting_context() if url.startswith("https://") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )
        self._url = url

    def call(self, method: str, path: str, *, accept: tuple[int, ...] = (), **arguments: Any) -> httpx.Response:
        """Return the response. Raises ServerError for an error status that is not in `accept`, or without response."""
        try:
            response = self._http.request(method, path, **arguments)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ServerError(
                f"no answer from {self._url}: {error or type(error).__name__}. {_way_out(error)}"
            ) from None
        if response.is_error and response.status_code not in accept:
            raise ServerError(_detail(response))
        return response

    def pages(self, path: str, limit: int, **parameters: str | None) -> list[dict[str, Any]]:
        """Return up to `limit` items of a paginated list."""
        items: list[dict[str, Any]] = []
        query = {name: value for name, value in parameters.items() if value is not None}
        next_page: str | None = f"{path}?{httpx.QueryParams({**query, 'limit': str(min(limit, 200))})}"
        while next_page and len(items) < limit:
            response = self.call("GET", next_page)
            items += response.json()
            next_page = response.links.get("next", {}).get("url")
        return items[:limit]


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
        return "Pass a name of the certificate with --url; if its authority is your own, name its file in FAAS_CA_FILE"
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


def _detail(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code} to {response.request.method} {response.request.url.path}"
