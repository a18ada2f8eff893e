"""The WebAssembly runtime: one engine, a cache of precompiled modules, and a fresh instance for every execution."""

from faas.runtime.engine_module import EngineUnavailable
from faas.runtime.engine_modules import LoadEngine
from faas.runtime.http_messages import HttpRequest, HttpResponse
from faas.runtime.limits import Limits
from faas.runtime.linked_module import Contract
from faas.runtime.outcome import Failure, Outcome
from faas.runtime.precompile.client import Precompiler
from faas.runtime.precompile.sealed_code import SealedCode
from faas.runtime.reach import Reach
from faas.runtime.runtime import Runtime

__all__ = [
    "Contract", "EngineUnavailable", "Failure", "HttpRequest", "HttpResponse", "Limits", "LoadEngine", "Outcome",
    "Precompiler", "Reach", "Runtime", "SealedCode",
]  # fmt: skip
