"""The Gemini API key: a variable, a file that it names, or Foundry's file of source credentials."""

from pathlib import Path

import msgspec

from faas.compute_module.secret_files import check_secret, read_secret
from faas.compute_module.settings import GeminiVariables
from faas.errors import ConfigurationError

DEFAULT_SECRET_NAMES = ("GEMINI_API_KEY", "GeminiAPIKey", "apiKey", "api_key", "apikey")
_PREFIX = "additionalSecret"  # Foundry adds it to the names of the secrets that a source's owner defines

_Sources = dict[str, dict[str, str]]  # the secrets of each source, by name


class _Match(msgspec.Struct, frozen=True):
    """A secret that may be the key."""

    source: str
    name: str
    value: str


def read_gemini_key(variables: GeminiVariables) -> str:
    """Return the API key that `variables` lead to.

    `GEMINI_API_KEY` is the key or the path of a file that contains it. Without it, `SOURCE_CREDENTIALS` names a JSON
    file `{source: {secret: value}}`, which `GEMINI_SOURCE_API_NAME` and `GEMINI_SOURCE_SECRET_NAME` narrow to one
    secret. Raises ConfigurationError, whose message contains names and no values.
    """
    if variables.api_key:
        return read_secret(variables.api_key, "GEMINI_API_KEY")
    if not variables.source_credentials:
        raise ConfigurationError("--enricher gemini needs a key: set GEMINI_API_KEY, or SOURCE_CREDENTIALS to a file")
    sources = _narrow(_read_sources(Path(variables.source_credentials)), variables.source_api_name)
    matches = _find_matches(sources, variables.source_secret_name)
    if len(matches) != 1:
        names = ", ".join(f"{match.source}/{match.name}" for match in matches)
        found = f"more than one secret that may be the key ({names})" if matches else "no secret that may be the key"
        raise ConfigurationError(
            f"SOURCE_CREDENTIALS: {found}; set GEMINI_SOURCE_API_NAME and GEMINI_SOURCE_SECRET_NAME"
        )
    return check_secret(matches[0].value, "SOURCE_CREDENTIALS")


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


def _narrow(sources: _Sources, source_name: str) -> _Sources:
    if not source_name:
        return sources
    if source_name not in sources:
        raise ConfigurationError(
            f"GEMINI_SOURCE_API_NAME={source_name!r}: SOURCE_CREDENTIALS has only {', '.join(sources) or 'no sources'}"
        )
    return {source_name: sources[source_name]}


def _find_matches(sources: _Sources, secret_name: str) -> list[_Match]:
    """Return at most one secret of each source: the first that has one of the candidate names.

    Without `secret_name` and without any such secret, the only secret of each source that has exactly one.
    """
    candidates = [
        name
        for candidate in ((secret_name,) if secret_name else DEFAULT_SECRET_NAMES)
        for name in (candidate, _PREFIX + candidate)
    ]
    matches = []
    for source, secrets in sources.items():
        name = next((name for name in candidates if name in secrets), None)
        if name:
            matches.append(_Match(source, name, secrets[name]))
    if matches or secret_name:
        return matches
    return [_Match(source, *next(iter(secrets.items()))) for source, secrets in sources.items() if len(secrets) == 1]
