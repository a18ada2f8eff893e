"""Functions that are compiled and called in this process, without a database and a port."""

import hashlib
from uuid import UUID

import msgspec

from faas.bootstrap.compilers import LocalRuntime
from faas.compile.outcome import CompileFailure
from faas.runtime import Limits, Outcome


class LocalFunctions(msgspec.Struct):
    """Compiles sources and calls them."""

    local: LocalRuntime

    async def compile(self, source: str, language: str = "javascript") -> bytes | str:
        """Return the image module of `source`, or the compile error."""
        compiled = await self.local.compilers[language].compile(source)
        return compiled.diagnostics if isinstance(compiled, CompileFailure) else compiled.binary

    async def call(self, source: str, input_json: bytes = b"{}", language: str = "javascript") -> Outcome:
        """Return the outcome of one call of `source`, which must compile."""
        binary = await self.compile(source, language)
        assert isinstance(binary, bytes), binary
        return await self.run(binary, input_json)

    async def run(
        self,
        binary: bytes,
        input_json: bytes = b"{}",
        limits: Limits | None = None,
        execution_id: UUID | None = None,
    ) -> Outcome:
        """Return the outcome of one call of an image module, with limits of its own where there are some."""

        async def load() -> bytes:
            return binary

        digest = hashlib.sha256(binary).digest()
        return await self.local.runtime.run(digest, load, input_json, limits, execution_id)

    def limits_for(self, message: str) -> Limits:
        """Return a limit of 2 s for a call whose outcome is to be that its time is over, and a patient one for another."""
        return self.local.runtime.limits.narrowed(2.0 if "time limit" in message else None, None)

    async def value(self, source: str, input_json: bytes = b"{}", language: str = "javascript") -> object:
        """Return the output of one call of `source`, which must succeed."""
        outcome = await self.call(source, input_json, language)
        assert outcome.error is None, outcome.error
        assert outcome.output is not None
        return msgspec.json.decode(outcome.output)
