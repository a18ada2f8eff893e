"""The wasm runtime: one engine, a cache of compiled modules, a fresh sandboxed instance for every call."""

from faas.runtime.artifacts import Artifacts
from faas.runtime.engine import Runtime
from faas.runtime.limits import Limits
from faas.runtime.outcome import Outcome

__all__ = ["Artifacts", "Limits", "Outcome", "Runtime"]
