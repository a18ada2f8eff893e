"""URLs of outbound requests: read strictly, so that what is judged is what is connected to."""

import re
from urllib.parse import quote, urljoin

import msgspec

from faas.outbound_patterns import Origin, parse_origin

MAX_URL_LENGTH = 16_384
_URL = re.compile(r"((?i:https?)://[^/?#\\]*)(/[^?#]*)?(\?[^#]*)?(?:#.*)?", re.DOTALL)
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\xa0\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff]")
_SAFE = "%!$&'()*+,;=:@/?[]~-._"  # what stays as it is; the rest, such as é and {, is percent-encoded


class Url(msgspec.Struct, frozen=True):
    """A URL without its fragment. `path` and `query` are ASCII; the query begins with `?` or is empty."""

    origin: Origin
    path: str
    query: str

    def __str__(self) -> str:
        return f"{self.origin}{self.path}{self.query}"

    @property
    def recorded(self) -> str:
        """The URL as the record of the execution has it: without the query, which may hold secrets."""
        return f"{self.origin}{self.path}"

    @property
    def target(self) -> bytes:
        """What the request line names."""
        return f"{self.path}{self.query}".encode("ascii")


def parse_url(text: str) -> Url:
    """Read a URL. Raises ValueError with a sentence for the author of the function."""
    if len(text) > MAX_URL_LENGTH:
        raise ValueError(f"the URL has {len(text)} characters; accepted are up to {MAX_URL_LENGTH}")
    shown = recorded_text(text)
    if _NOT_IN_URLS.search(text):
        raise ValueError(f"the URL {shown!r} has a space, a line break or another character that URLs do not have")
    if not (found := _URL.fullmatch(text)):
        raise ValueError(f"the URL {shown!r} does not begin with http:// or https:// and a host")
    if "@" in found[1]:
        raise ValueError(f"the URL {shown!r} has a user name or a password; send them in the header Authorization")
    try:
        origin = parse_origin(found[1])
    except ValueError as error:
        raise ValueError(f"the URL {shown!r} {error}") from None
    path, query = quote(found[2] or "/", safe=_SAFE), quote(found[3] or "", safe=_SAFE)
    if len(path) + len(query) > MAX_URL_LENGTH:
        raise ValueError(f"the URL has more than {MAX_URL_LENGTH} characters when it is percent-encoded")
    return Url(origin, path, query)


def join_url(base: Url, location: str) -> Url:
    """Read the URL that a redirect from `base` names, which may be relative. Raises ValueError as `parse_url` does."""
    if len(location) > MAX_URL_LENGTH:
        raise ValueError(f"the redirect names a URL with more than {MAX_URL_LENGTH} characters")
    try:
        return parse_url(urljoin(str(base), location.strip(" \t")))
    except ValueError as error:
        raise ValueError(f"redirected: {error}") from None


def recorded_text(text: str) -> str:
    """Return what a message or a record may show of a URL that may be invalid: no user, password, query or fragment."""
    shown = re.split(r"[?#]", text[:MAX_URL_LENGTH], maxsplit=1)[0]
    return re.sub(r"(?s)(?<=//).*@", "", shown)[:200]
