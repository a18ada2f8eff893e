"""Finding functions and revisions by what clients call them, as the models that clients are shown."""

from uuid import UUID

import msgspec

from faas.caller import Caller
from faas.database.pool import Connection
from faas.errors import FunctionNotFound, RevisionNotFound
from faas.function_ref import FunctionRef
from faas.function_settings import decode_settings
from faas.functions import queries
from faas.functions.model import Function, FunctionSummary, LatestRevision, Revision
from faas.functions.queries import FunctionRow, FunctionSummaryRow, LockedFunctionRow, RevisionRow


async def find_id(connection: Connection, caller: Caller, function_ref: FunctionRef) -> UUID:
    """Return the id of the function. Raises FunctionNotFound, also for one that the caller may not reach."""
    found = await queries.find_function(
        connection, function_id=function_ref.id, name=function_ref.name, like=caller.like
    )
    if found is None:
        raise FunctionNotFound(str(function_ref))
    return found


async def find_function(connection: Connection, caller: Caller, function_ref: FunctionRef) -> Function:
    """Return the function as the reference shows it. Raises FunctionNotFound, RevisionNotFound."""
    row = await queries.get_function(
        connection,
        function_id=function_ref.id,
        name=function_ref.name,
        like=caller.like,
        revision=function_ref.revision,
    )
    if row is None:
        if function_ref.revision is None:
            raise FunctionNotFound(str(function_ref))
        await find_id(connection, caller, function_ref)
        raise RevisionNotFound(function_ref.name or str(function_ref.id), function_ref.revision)
    return to_function(row)


async def lock(connection: Connection, caller: Caller, function_ref: FunctionRef) -> LockedFunctionRow:
    """Lock the row of the function until the transaction ends. Raises FunctionNotFound."""
    locked = await queries.lock_function(
        connection, function_id=function_ref.id, name=function_ref.name, like=caller.like
    )
    if locked is None:
        raise FunctionNotFound(str(function_ref))
    return locked


def to_function(row: FunctionRow) -> Function:
    """Return the model of a row."""
    return msgspec.convert(_shared_fields(row) | {"source": row.source}, Function)


def to_summary(row: FunctionSummaryRow) -> FunctionSummary:
    """Return the model of a row."""
    return msgspec.convert(_shared_fields(row), FunctionSummary)


def to_revision(row: RevisionRow) -> Revision:
    """Return the model of a row."""
    return msgspec.convert(msgspec.structs.asdict(row) | {"settings": decode_settings(row.settings)}, Revision)


def _shared_fields(row: FunctionRow | FunctionSummaryRow) -> dict[str, object]:
    latest = LatestRevision(
        revision=row.latest_revision,
        status=row.latest_status,
        compile_error=row.latest_compile_error,
        created_at=row.latest_created_at,
    )
    return msgspec.structs.asdict(row) | {"settings": decode_settings(row.settings), "latest": latest}
