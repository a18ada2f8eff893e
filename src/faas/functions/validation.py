"""What a function's name and source must look like; messages name the field, the value and what is accepted."""

import re
from collections.abc import Collection
from uuid import UUID

from faas.errors import InvalidRequest, PayloadTooLarge
from faas.functions.model import FunctionDraft
from faas.languages import Language
from faas.queue import messages
from faas.units import format_size

SOURCE_LIMIT = 1 << 20
WASM_LIMIT = 8 << 20
DESCRIPTION_LIMIT = 10_000
NAME_FORM = "1 to 64 of a-z A-Z 0-9 - _ . starting with a letter"
_UUID_LENGTH = 36
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]{0,63}")


def is_name(text: str) -> bool:
    """Whether a function may be called `text`."""
    return _NAME.fullmatch(text) is not None and parse_uuid(text) is None


def parse_reference(reference: str) -> tuple[UUID | None, str | None]:
    """`reference` as (id, None) or (None, name). Raises InvalidRequest when it can be neither."""
    if function_id := parse_uuid(reference):
        return function_id, None
    if is_name(reference):
        return None, reference
    raise InvalidRequest("id", f"{reference[:100]!r} is neither a UUID nor a function name ({NAME_FORM})")


def check_draft(draft: FunctionDraft) -> None:
    """Raise InvalidRequest or PayloadTooLarge for the first field that is not as it must be."""
    if not is_name(draft.name):
        reason = "names that look like a UUID would be taken for an id" if parse_uuid(draft.name) else NAME_FORM
        raise InvalidRequest("name", f"{draft.name[:100]!r} is not accepted; {reason}")
    for field, text in (("source", draft.source), ("description", draft.description or "")):
        if "\0" in text:
            raise InvalidRequest(field, f"contains NUL at character {text.index(chr(0))}")
    if draft.description is not None and len(draft.description) > DESCRIPTION_LIMIT:
        raise InvalidRequest("description", f"longer than {DESCRIPTION_LIMIT} characters")
    if not draft.source:
        raise InvalidRequest("source", "is empty")
    if draft.language == "wasm":
        _check_wasm_source(draft.source)
    elif (size := len(draft.source.encode())) > SOURCE_LIMIT:
        raise PayloadTooLarge("source", SOURCE_LIMIT, f"{size} bytes; at most {format_size(SOURCE_LIMIT)} are accepted")


def check_language(draft: FunctionDraft, languages: Collection[Language]) -> None:
    """Raise InvalidRequest unless the draft's language is one of `languages`, those of this server."""
    if draft.language not in languages:
        listed = ", ".join(languages)
        raise InvalidRequest("language", f"{draft.language!r} is switched off on this server; it takes {listed}")


def _check_wasm_source(source: str) -> None:
    try:
        size = len(messages.decode_binary(source))
    except ValueError as error:
        raise InvalidRequest("source", f"not base64, which the language wasm takes: {error}") from None
    if size > WASM_LIMIT:
        raise PayloadTooLarge("source", WASM_LIMIT, f"a module of at most {format_size(WASM_LIMIT)}, in base64")


def parse_uuid(text: str) -> UUID | None:
    """`text` as a UUID in its canonical form, 8-4-4-4-12; Python's UUID takes more."""
    if len(text) != _UUID_LENGTH:
        return None
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None
