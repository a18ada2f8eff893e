"""Which components make a process DOWN."""

from typing import Any, NamedTuple

import pytest

from faas.database.pool import Pool
from faas.health import HealthChecker


class Part(NamedTuple):
    """A component with a state, as the health check asks for it."""

    said: str = "UP"
    healthy: bool = True
    connected: bool = True

    def state(self) -> str:
        return self.said

    @property
    def precompiler_state(self) -> str:
        return self.said


DOWN = Part("DOWN: a reason", healthy=False, connected=False)


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({}, "UP"),
        ({"compilers": {"python": DOWN, "wat": Part()}}, "UP"),
        ({"compilers": {"python": DOWN, "javascript": DOWN}}, "DOWN"),
        ({"compilers": {"python": Part("WARMING"), "javascript": DOWN}}, "UP"),
        ({"runtime": DOWN}, "DOWN"),
        ({"compilers": {}, "runtime": DOWN}, "DOWN"),
        ({"consumers": {"jobs": DOWN, "results": Part()}}, "DOWN"),
        ({"listener": DOWN}, "UP"),
    ],
)
async def test_health_is_down_without_what_all_functions_need(pool: Pool, parts: dict[str, Any], status: str) -> None:
    present: dict[str, Any] = {
        "listener": Part(),
        "consumers": {"results": Part()},
        "compilers": {"wat": Part()},
        "runtime": Part(),
    }
    health = await HealthChecker(role="all", pool=pool, **{**present, **parts}).check()
    assert health.status == status
    assert health.database == "UP"
