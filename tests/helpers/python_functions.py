"""Functions in Python, compiled and executed as a server does, without a database."""

import hashlib
from typing import Any
from uuid import UUID

import msgspec

from faas.bootstrap.compilers import LocalRuntime
from faas.compile.outcome import Compiled
from faas.runtime import Outcome


class PythonFunctions:
    """Compiles and executes functions with `local`. Images are kept by source."""

    def __init__(self, local: LocalRuntime) -> None:
        self.local = local
        self._images: dict[str, bytes] = {}

    async def image(self, source: str) -> bytes:
        """Return the image module of `source`, which must compile."""
        if source not in self._images:
            compiled = await self.local.compilers["python"].compile(source)
            assert isinstance(compiled, Compiled), compiled.diagnostics
            assert await self.local.runtime.check(compiled.binary) is None
            self._images[source] = compiled.binary
        return self._images[source]

    async def diagnostics(self, source: str) -> str:
        """Return why `source` does not compile."""
        compiled = await self.local.compilers["python"].compile(source)
        assert not isinstance(compiled, Compiled), "it compiles"
        return compiled.diagnostics

    async def outcome(self, source: str, document: bytes = b"{}", execution_id: UUID | None = None) -> Outcome:
        """Execute `source` with the input `document`."""
        binary = await self.image(source)

        async def load() -> bytes:
            return binary

        digest = hashlib.sha256(binary).digest()
        return await self.local.runtime.run(digest, load, document, execution_id=execution_id)

    async def call(self, source: str, value: object = None) -> Any:
        """Return the output of `source` for the input `value`. It must complete."""
        outcome = await self.outcome(source, msgspec.json.encode({} if value is None else value))
        assert outcome.error is None, outcome.error
        assert outcome.output is not None
        return msgspec.json.decode(outcome.output)

    async def failure(self, source: str, document: bytes = b"{}") -> str:
        """Return the error of `source`. It must fail."""
        outcome = await self.outcome(source, document)
        assert outcome.error is not None, outcome.output
        return outcome.error
