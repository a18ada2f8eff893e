"""Checks of a function's fields; error messages name the field, the value and what is accepted."""

from collections.abc import Collection

from faas.errors import InvalidRequest, PayloadTooLarge
from faas.function_ref import FUNCTION_NAME_FORM, is_function_name, parse_uuid
from faas.function_settings import check_settings
from faas.functions.model import FunctionDraft
from faas.languages import Language
from faas.queue import messages
from faas.units import format_size

SOURCE_LIMIT_BYTES = 1 << 20
WASM_LIMIT_BYTES = 8 << 20
DESCRIPTION_LIMIT_CHARACTERS = 10_000


def check_draft(draft: FunctionDraft, *, max_time: float, max_memory: int) -> None:
    """Raise InvalidRequest or PayloadTooLarge for the first invalid field.

    The draft may narrow the server's limits of `max_time` seconds and `max_memory` bytes, not widen them.
    """
    if not is_function_name(draft.name):
        reason = (
            "names that look like a UUID would be taken for an id" if parse_uuid(draft.name) else FUNCTION_NAME_FORM
        )
        raise InvalidRequest("name", f"{draft.name[:100]!r} is not accepted; {reason}")
    for field, text in (("source", draft.source), ("description", draft.description or "")):
        if "\0" in text:
            raise InvalidRequest(field, f"contains NUL at character {text.index(chr(0))}")
    if draft.description is not None and len(draft.description) > DESCRIPTION_LIMIT_CHARACTERS:
        raise InvalidRequest("description", f"longer than {DESCRIPTION_LIMIT_CHARACTERS} characters")
    check_settings(draft.settings, max_time=max_time, max_memory=max_memory)
    if not draft.source:
        raise InvalidRequest("source", "is empty")
    if draft.language == "wasm":
        _check_wasm_source(draft.source)
    elif (size := len(draft.source.encode())) > SOURCE_LIMIT_BYTES:
        raise PayloadTooLarge(
            "source", SOURCE_LIMIT_BYTES, f"{size} bytes; at most {format_size(SOURCE_LIMIT_BYTES)} are accepted"
        )


def check_language(draft: FunctionDraft, languages: Collection[Language]) -> None:
    """Raise InvalidRequest unless the draft's language is one of `languages`, those enabled on this server."""
    if draft.language not in languages:
        listed = ", ".join(languages)
        raise InvalidRequest(
            "language", f"{draft.language!r} is not enabled on this server (FAAS_LANGUAGES); accepted: {listed}"
        )


def _check_wasm_source(source: str) -> None:
    try:
        size = len(messages.decode_binary(source))
    except ValueError as error:
        raise InvalidRequest("source", f"not base64, which the language wasm takes: {error}") from None
    if size > WASM_LIMIT_BYTES:
        raise PayloadTooLarge(
            "source", WASM_LIMIT_BYTES, f"a module of at most {format_size(WASM_LIMIT_BYTES)}, in base64"
        )
