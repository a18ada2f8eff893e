"""Secrets that a variable contains either as they are or as the path of a file."""

from pathlib import Path

from faas.errors import ConfigurationError


def read_secret(value: str, variable: str) -> str:
    """Return the secret that the value of `variable` is, or that the file named by it contains.

    Raises ConfigurationError, whose message names the variable and never shows its value.
    """
    is_file = names_file(value)
    try:
        text = Path(value).read_text(encoding="utf-8").strip() if is_file else value
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{variable}: the file that it names cannot be read as text") from None
    if not is_file and value.startswith(("/", "./", "../", "~/")):
        raise ConfigurationError(f"{variable}: it names a file that does not exist")
    return check_secret(text, variable)


def check_secret(text: str, variable: str) -> str:
    """Return `text`. Raises ConfigurationError when an HTTP header cannot contain it.

    HTTP libraries show the value of a header that they refuse, so it is checked before they see it.
    """
    if not text or not all("!" <= character <= "~" for character in text):
        raise ConfigurationError(f"{variable}: a secret is one word of printable ASCII characters; this is not")
    return text


def names_file(value: str) -> bool:
    """Return whether `value` is the path of a file. A token is often longer than a path may be: that is no error."""
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # Python before 3.14 raises OSError, with the value in its message
        return False
