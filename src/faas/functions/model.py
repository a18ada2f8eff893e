"""The data of functions and of their revisions."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from faas.function_settings import DEFAULT_SETTINGS, FunctionSettings
from faas.languages import Language
from faas.runtime import Contract

Status = Literal["PENDING", "COMPILING", "READY", "FAILED"]
WAITING: tuple[Status, ...] = ("PENDING", "COMPILING")


class LatestRevision(msgspec.Struct, frozen=True, kw_only=True):
    """The newest revision of a function: what its last deploy made."""

    revision: int
    status: Status
    compile_error: str | None
    created_at: datetime


class FunctionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A function without its source, for lists.

    `revision` is the live revision, or the newest one while none has been READY; language, settings, status, contract
    and compile error are those of that revision.
    """

    id: UUID
    name: str
    description: str | None
    language: Language
    settings: FunctionSettings
    status: Status
    compile_error: str | None
    revision: int
    latest: LatestRevision
    contract: Contract | None
    created_at: datetime
    updated_at: datetime


class Function(FunctionSummary, frozen=True, kw_only=True):
    """A function with the source of the revision that is shown."""

    source: str


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A revision of a function. READY has a module, FAILED a compile error.

    `promote` says that it goes live by itself once it is READY, unless a newer one is live by then. `upgrade_error` is
    why it still has the image of an older engine.
    """

    function_id: UUID
    revision: int
    language: Language
    source: str
    settings: FunctionSettings
    status: Status
    compile_error: str | None
    contract: Contract | None
    promote: bool
    live: bool
    upgrade_error: str | None
    created_by: str | None
    created_at: datetime


class FunctionDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The fields with which a client creates or changes a function; `validation.check_draft` checks them."""

    name: str
    language: Language
    source: str
    description: str | None = None
    settings: FunctionSettings = DEFAULT_SETTINGS
    promote: bool = True
