"""Secrets that never enter the guest: it has a placeholder, which the host replaces in headers, and back in answers."""

import html
import json
import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote, quote_plus

import msgspec

from faas.outbound.model import MAX_BODY_BYTES, RequestFailed
from faas.outbound_patterns import Origin


class HostSecret(msgspec.Struct, frozen=True):
    """A secret that requests to exactly `origins` may carry in values of headers, where the guest has `placeholder`."""

    placeholder: str
    value: str
    origins: frozenset[Origin]

    def __repr__(self) -> str:  # the value is in no log and no traceback
        return f"HostSecret({self.placeholder!r})"


class SecretValues:
    """The secrets of one execution.

    An answer that has a value gets the placeholder instead, as do the forms that JSON, HTML and URLs give the value. It
    cannot find a value that the server has changed in other ways; the origins of a secret are trusted with it.
    """

    def __init__(self, secrets: Sequence[HostSecret]) -> None:
        self._secrets = tuple(secret for secret in secrets if secret.placeholder and secret.value)
        forms = {
            form.encode(): secret.placeholder.encode() for secret in self._secrets for form in _forms(secret.value)
        }
        self._forms = sorted(forms.items(), key=lambda pair: len(pair[0]), reverse=True)  # the longest that fits wins

    @property
    def empty(self) -> bool:
        """Whether there are no secrets."""
        return not self._secrets

    def fill_in(self, origin: Origin, values: Iterable[str]) -> tuple[list[str], bool]:
        """Return values of headers for a request to `origin`, and whether there is a secret in one of them."""
        admitted = {secret.placeholder: secret.value for secret in self._secrets if origin in secret.origins}
        if not admitted:
            return list(values), False
        longest_first = sorted(admitted, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, longest_first)))
        given = list(values)
        filled = [pattern.sub(lambda found: _as_header(admitted[found[0]]), value) for value in given]
        return filled, filled != given

    def hide(self, content: bytes) -> bytes:
        """Return `content` with placeholders instead of values. Raises RequestFailed if it becomes too large."""
        for form, placeholder in self._forms:  # not one regular expression, which takes seconds for many secrets
            if not (count := content.count(form)):
                continue
            size = len(content) + count * (len(placeholder) - len(form))
            if size > max(MAX_BODY_BYTES, len(content)):
                raise RequestFailed("the answer is too large with the placeholders of the secrets that are in it")
            content = content.replace(form, placeholder)
        return content


def _as_header(value: str) -> str:
    """Return the UTF-8 of a value as header text, in which each character is one byte."""
    return value.encode().decode("latin-1")


def _forms(value: str) -> set[str]:
    """Return how an answer may have a value: as it is, and inside JSON, HTML or a URL."""
    in_json: list[Callable[[str], str]] = [
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    ]
    in_others: list[Callable[[str], str]] = [quote, quote_plus, lambda text: quote(text, safe=""), html.escape]
    return {value, *(write(value) for write in (*in_json, *in_others))}
