"""Whether this process can open the secrets of its database, for /health, the start and `faas doctor`."""

from collections.abc import Sequence

from faas.database.pool import Connection
from faas.errors import SecretKeyUnavailable
from faas.secret_store import queries
from faas.secret_store.key_file import SETTING, Keyring
from faas.secret_store.queries import KeyRow
from faas.secret_store.sealing import SealingKey


async def describe_state(connection: Connection, keyring: Keyring) -> str:
    """Return `OFF` without secrets, `UP` if all of them can be opened, or `DOWN: ` and the reason."""
    keys = await queries.list_keys(connection)
    if not keys:
        return "OFF"
    try:
        problem = find_key_problem(keys, await keyring.read())
    except SecretKeyUnavailable as error:
        problem = str(error)
    return f"DOWN: {problem}" if problem else "UP"


def find_key_problem(keys: Sequence[KeyRow], key: SealingKey | None) -> str | None:
    """Return which secrets `key`, None for no file, does not open; None where it opens all of them."""
    others = [row for row in keys if key is None or row.key_id != key.id]
    if not others:
        return None
    sealed = " and ".join(f"{row.secrets} under the key {row.key_id}" for row in others)
    return f"secrets are sealed: {sealed}; {SETTING} {f'has the key {key.id}' if key else 'is not there'}"
