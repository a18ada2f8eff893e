"""What each worker gets of the settings."""

import pytest

from faas.settings import Settings
from faas.shares import OWN_CONNECTIONS, connections_of, embedded_connections, share_of


def test_share_of_one_worker_is_everything() -> None:
    settings = Settings()
    assert share_of(settings, first=True) is settings
    assert connections_of(settings) == 16 + OWN_CONNECTIONS


@pytest.mark.parametrize(("workers", "pool"), [(2, 8), (3, 6), (4, 4), (16, 4)])
def test_share_of_workers_divides_the_pool(workers: int, pool: int) -> None:
    settings = Settings(workers=workers)
    assert share_of(settings, first=False).database_pool == pool
    assert connections_of(settings) == workers * (pool + OWN_CONNECTIONS)
    assert embedded_connections(settings) > connections_of(settings) + pool + OWN_CONNECTIONS


def test_share_of_the_first_worker_has_the_compilers() -> None:
    settings = Settings(workers=4, compile_workers=3)
    assert share_of(settings, first=True).compile_workers == 3
    assert share_of(settings, first=False).compile_workers == 1
