"""The wasm runtime: one engine, a cache of compiled modules, a fresh sandboxed instance for every call."""

from faas.runtime.limits import Limits
from faas.runtime.outcome import Outcome
from faas.runtime.precompile.client import Artifacts
from faas.runtime.runtime import Runtime

__all__ = ["Artifacts", "Limits", "Outcome", "Runtime"]
