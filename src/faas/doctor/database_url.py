"""Database URLs in messages: what names the server is shown, a password never."""

from urllib.parse import parse_qs, unquote, urlsplit

_UNKNOWN = "the database of FAAS_DATABASE_URL"


def shown_url(url: str) -> str:
    """Return `url` without its password and parameters.

    Of one that does not parse nothing is shown: a `/`, `#` or `?` in a password that is not percent-encoded makes the
    rest of the password look like the name of a database.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return _UNKNOWN
    if not parts.scheme or parts.fragment or "@" in unquote(parts.path + parts.query):
        return _UNKNOWN
    host = parts.hostname or next(iter(parse_qs(parts.query).get("host", [])), "")
    user = f"{unquote(parts.username)}@" if parts.username else ""
    return f"{user}{host or 'localhost'}{port}{unquote(parts.path)}"


def without_password(text: str, url: str) -> str:
    """Return `text`, a server's or a library's message, with each form of the password in `url` masked."""
    try:
        parts = urlsplit(url)
        secrets = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:
        return "the URL is malformed"
    for secret in secrets:
        for form in {secret, unquote(secret)} - {""}:
            text = text.replace(form, "***")
    return text
