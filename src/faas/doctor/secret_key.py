"""Checks of the key that seals secrets: its file, and whether it is the key of the secrets in the database."""

from collections.abc import Iterator, Sequence

from faas.doctor.finding import Finding, fail, ok, warn
from faas.errors import SecretKeyUnavailable
from faas.secret_store.key_file import read_key
from faas.secret_store.queries import KeyRow
from faas.secret_store.state import find_key_problem
from faas.settings import Settings


def check(settings: Settings) -> Iterator[Finding]:
    """Read the file as `faas serve` does; nothing for the role compiler, which opens no secrets."""
    if settings.role == "compiler":
        return
    path = settings.secret_key_path
    try:
        key = read_key(path)
    except SecretKeyUnavailable as error:
        yield fail("secret-key", f"{path}: {error}", "correct the file, or name another one with --secret-key-file")
        return
    if key is None:
        yield ok("secret-key", f"{path} is made when the first secret is set")
    else:
        yield ok("secret-key", f"{path} has the key {key.id}; backups do not hold it")


def judge_secrets(keys: Sequence[KeyRow], settings: Settings) -> Iterator[Finding]:
    """Compare the keys that the secrets of the database are sealed under with the file; nothing without secrets."""
    if settings.role == "compiler" or not keys:
        return
    try:
        problem = find_key_problem(keys, read_key(settings.secret_key_path))
    except SecretKeyUnavailable as error:
        problem = str(error)
    if problem is None:
        yield ok("secrets", f"{sum(row.secrets for row in keys)}, all sealed under the key of this server")
        return
    yield warn(
        "secrets",
        f"{problem} ({settings.secret_key_path})",
        "put the key file of the server that set them there; if it is lost, make another one "
        "(`head -c 32 /dev/urandom`, mode 0600), and set each of these secrets again",
    )
