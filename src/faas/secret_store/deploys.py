"""The check of a deploy: whether a function may name the secrets that its settings name."""

from collections.abc import Iterable

from faas.database.pool import Connection
from faas.errors import InvalidRequest
from faas.function_patterns import FunctionPatterns
from faas.function_settings import is_variable_name
from faas.secret_store import queries

FIELD = "settings.secrets"


async def check_secrets(connection: Connection, function_name: str, names: Iterable[str]) -> None:
    """Raise InvalidRequest for a secret that does not exist, or does not admit the function: which one, is not said.

    To be called in the transaction that inserts the revision: the secrets cannot be deleted until it ends.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return
    rows = await queries.lock_named(connection, names=[name for name in wanted if is_variable_name(name)])
    admitting = {row.name for row in rows if FunctionPatterns(tuple(row.functions)).admits(function_name)}
    for name in wanted:
        if name not in admitting:
            raise InvalidRequest(
                FIELD,
                f"there is no secret {name[:100]!r} that admits the function {function_name!r}; an operator allows it "
                f"with `faas secret set {name[:100]} --function {function_name}`, with a --function for each pattern",
            )
