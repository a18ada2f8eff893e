"""Functions in Python, compiled and executed as a server does, without a database."""

import hashlib
from typing import Any
from uuid import UUID

import msgspec

from faas.bootstrap.compilers import LocalRuntime
from faas.compile.outcome import Compiled
from faas.compile.surroundings import NONE, Surroundings
from faas.runtime import Outcome
from faas.runtime.reach import NOTHING, Reach


class PythonFunctions:
    """Compiles and executes functions with `local`. Images are kept by source, and what surrounds it.

    What a function may reach in a call is its surroundings at top level, too.
    """

    def __init__(self, local: LocalRuntime) -> None:
        self.local = local
        self._images: dict[tuple[str, bytes], bytes] = {}

    async def image(self, source: str, surroundings: Surroundings = NONE) -> bytes:
        """Return the image module of `source`, which must compile."""
        key = source, msgspec.json.encode(surroundings)
        if key not in self._images:
            compiled = await self.local.compilers["python"].compile(source, surroundings)
            assert isinstance(compiled, Compiled), compiled.diagnostics
            assert await self.local.runtime.check(compiled.binary) is None
            self._images[key] = compiled.binary
        return self._images[key]

    async def diagnostics(self, source: str, surroundings: Surroundings = NONE) -> str:
        """Return why `source` does not compile."""
        compiled = await self.local.compilers["python"].compile(source, surroundings)
        assert not isinstance(compiled, Compiled), "it compiles"
        return compiled.diagnostics

    async def outcome(
        self,
        source: str,
        document: bytes = b"{}",
        execution_id: UUID | None = None,
        reach: Reach = NOTHING,
        *,
        seconds: float | None = None,
    ) -> Outcome:
        """Execute `source` with the input `document`, for at most `seconds`."""
        binary = await self.image(source, Surroundings(reach.variables, list(reach.secrets)))

        async def load() -> bytes:
            return binary

        digest = hashlib.sha256(binary).digest()
        runtime = self.local.runtime
        limits = runtime.limits.narrowed(seconds, None)
        return await runtime.run(digest, load, document, limits, execution_id, reach=reach)

    async def call(self, source: str, value: object = None, reach: Reach = NOTHING) -> Any:
        """Return the output of `source` for the input `value`. It must complete."""
        outcome = await self.outcome(source, msgspec.json.encode({} if value is None else value), reach=reach)
        assert outcome.error is None, outcome.error
        assert outcome.output is not None
        return msgspec.json.decode(outcome.output)

    async def failure(
        self, source: str, document: bytes = b"{}", reach: Reach = NOTHING, *, seconds: float | None = None
    ) -> str:
        """Return the error of `source`, which must fail and may take at most `seconds`."""
        outcome = await self.outcome(source, document, reach=reach, seconds=seconds)
        assert outcome.error is not None, outcome.output
        return outcome.error
