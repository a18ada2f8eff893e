"""Where the Gemini key comes from: a variable, a file it names, or a platform's file of source credentials."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from faas.errors import ConfigurationError

USUAL_NAMES = ("GEMINI_API_KEY", "GeminiAPIKey", "apiKey", "api_key", "apikey")
_PREFIX = "additionalSecret"  # what the platform puts before the name of a source's own secret

_Sources = dict[str, dict[str, str]]


def gemini_key(environ: Mapping[str, str]) -> str:
    """The key that `environ` leads to.

    `GEMINI_API_KEY` is the key or a path to a file with it. Otherwise `SOURCE_CREDENTIALS` names a JSON file
    `{source: {secret: value}}`, which `GEMINI_SOURCE_API_NAME` and `GEMINI_SOURCE_SECRET_NAME` narrow.
    Raises ConfigurationError, which shows names but no values.
    """
    value = environ.get("GEMINI_API_KEY", "").strip()
    if value:
        return read_secret(value, "GEMINI_API_KEY")
    path = environ.get("SOURCE_CREDENTIALS", "").strip()
    if not path:
        raise ConfigurationError("--enricher gemini needs a key: set GEMINI_API_KEY, or SOURCE_CREDENTIALS to a file")
    sources = _narrowed(_read_sources(Path(path)), environ.get("GEMINI_SOURCE_API_NAME", "").strip())
    matches = _matches(sources, environ.get("GEMINI_SOURCE_SECRET_NAME", "").strip())
    if len(matches) != 1:
        names = ", ".join(f"{source}/{name}" for source, name, _ in matches)
        found = f"more than one secret that may be the key ({names})" if matches else "no secret that may be the key"
        raise ConfigurationError(
            f"SOURCE_CREDENTIALS: {found}; set GEMINI_SOURCE_API_NAME and GEMINI_SOURCE_SECRET_NAME"
        )
    return _checked(matches[0][2], "SOURCE_CREDENTIALS")


def read_secret(value: str, variable: str) -> str:
    """The secret that `variable` gives, as itself or as the path of a file that holds it. Never shows it."""
    is_file = names_file(value)
    try:
        text = Path(value).read_text(encoding="utf-8").strip() if is_file else value
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{variable}: the file that it names cannot be read as text") from None
    if not is_file and value.startswith(("/", "./", "../", "~/")):
        raise ConfigurationError(f"{variable}: it names a file that does not exist")
    return _checked(text, variable)


def names_file(value: str) -> bool:
    """Whether `value` is the path of a file. A token is often longer than a path may be, which is no error."""
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # before Python 3.14 the first, with the value in its message
        return False


def _checked(text: str, variable: str) -> str:
    # a header must hold it, and an HTTP library that refuses a header prints its value
    if not text or not all("!" <= character <= "~" for character in text):
        raise ConfigurationError(f"{variable}: a secret is one word of printable ASCII characters; this is not")
    return text


def _read_sources(path: Path) -> _Sources:
    try:
        decoded = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, object]])
    except OSError as error:
        raise ConfigurationError(f"SOURCE_CREDENTIALS={str(path)!r}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ConfigurationError(
            f'SOURCE_CREDENTIALS={str(path)!r}: not JSON of the form {{"SourceApiName": {{"secretName": "value"}}}}'
        ) from None
    return {
        source: {name: value.strip() for name, value in secrets.items() if isinstance(value, str) and value.strip()}
        for source, secrets in decoded.items()
    }


def _narrowed(sources: _Sources, wanted: str) -> _Sources:
    if not wanted:
        return sources
    if wanted not in sources:
        raise ConfigurationError(
            f"GEMINI_SOURCE_API_NAME={wanted!r}: SOURCE_CREDENTIALS has only {', '.join(sources) or 'no sources'}"
        )
    return {wanted: sources[wanted]}


def _matches(sources: _Sources, wanted: str) -> list[tuple[str, str, str]]:
    """(source, secret name, value) of every source that has a secret by one of the names, its first."""
    candidates = (wanted,) if wanted else USUAL_NAMES
    named = []
    for source, secrets in sources.items():
        tried = [tries for name in candidates for tries in (name, _PREFIX + name)]
        name = next((name for name in tried if name in secrets), None)
        if name:
            named.append((source, name, secrets[name]))
    if named or wanted:
        return named
    return [(source, *next(iter(secrets.items()))) for source, secrets in sources.items() if len(secrets) == 1]
