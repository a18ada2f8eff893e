"""The commands' way to a server: its HTTP API, at `--url` or FAAS_URL."""

from collections.abc import Callable
from typing import Any

import click
import httpx

from faas import settings
from faas.errors import ConfigurationError, FaasError


class ServerError(FaasError):
    """Raised when the server answers a command with an error or cannot be reached."""


class Client:
    """Calls the API and turns what it refuses into ServerError."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"--url {url!r}: it begins with http:// or https://")
        # A proxy from the environment would be asked for 127.0.0.1 too.
        self._http = httpx.Client(base_url=url, timeout=httpx.Timeout(30, read=None), trust_env=False)
        self._url = url

    def call(self, method: str, path: str, *, accept: tuple[int, ...] = (), **arguments: Any) -> httpx.Response:
        """The answer; a problem is raised, unless its status is in `accept`."""
        try:
            response = self._http.request(method, path, **arguments)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ServerError(
                f"no answer from {self._url}: {error or type(error).__name__}. "
                "Is `faas serve` running? Another address is given with --url or FAAS_URL"
            ) from None
        if response.is_error and response.status_code not in accept:
            raise ServerError(_detail(response))
        return response

    def pages(self, path: str, limit: int, **parameters: str | None) -> list[dict[str, Any]]:
        """Up to `limit` items of a list, over as many pages as that takes."""
        items: list[dict[str, Any]] = []
        chosen = {name: value for name, value in parameters.items() if value is not None}
        following: str | None = f"{path}?{httpx.QueryParams({**chosen, 'limit': str(min(limit, 200))})}"
        while following and len(items) < limit:
            response = self.call("GET", following)
            items += response.json()
            following = response.links.get("next", {}).get("url")
        return items[:limit]


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command which talks to a server has: `client` and `as_json`."""

    def connect(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Client:
        return Client(settings.server_url(value))

    function = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)
    return click.option(
        "--url",
        "client",
        metavar="URL",
        callback=connect,
        help=f"The server.  [env: FAAS_URL; default: {settings.DEFAULT_SERVER}]",
    )(function)


def _detail(response: httpx.Response) -> str:
    try:
        problem = response.json()
        return str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code} to {response.request.method} {response.request.url.path}"
