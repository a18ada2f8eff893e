"""The command `faas`, run against a server."""

import asyncio

from tests.helpers.server import COMMAND, COVERAGE, Server

NO_VALUE = "\N{EN DASH}"  # in tables


class Faas:
    """Runs `faas …` with the URL of a server."""

    def __init__(self, server: Server | None, environment: dict[str, str] | None = None) -> None:
        self._environment = {
            "FAAS_URL": server.url if server else "",
            "PATH": "",
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            **COVERAGE,
            **(environment or {}),
        }

    async def __call__(self, *arguments: str | bytes, stdin: bytes = b"", code: int = 0) -> tuple[str, str]:
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, env=self._environment, stdin=-1, stdout=-1, stderr=-1
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 120)
        assert process.returncode == code, (arguments, out, err)
        return out.decode(), err.decode()
