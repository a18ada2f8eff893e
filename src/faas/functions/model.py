"""The data of a function."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from faas.languages import Language

Status = Literal["PENDING", "COMPILING", "READY", "FAILED"]


class FunctionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A function without its source, for lists."""

    id: UUID
    name: str
    description: str | None
    language: Language
    status: Status
    compile_error: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function. READY has a module, FAILED a compile error; `revision` counts the changes of source or language."""

    id: UUID
    name: str
    description: str | None
    language: Language
    source: str
    status: Status
    compile_error: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


class FunctionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The fields with which a client creates or changes a function; `validation.check_draft` checks them."""

    name: str
    language: Language
    source: str
    description: str | None = None
