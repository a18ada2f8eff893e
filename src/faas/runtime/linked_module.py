"""Native code, linked with the host functions of its calling convention: ready to be instantiated."""

from typing import Any, Literal

import msgspec
import wasmtime

from faas.runtime import abi, c_api
from faas.runtime.abi.convention import CallingConvention, type_text
from faas.runtime.hand_off import HandOff
from faas.runtime.host_context import guarded
from faas.runtime.inline_policy import InlinePolicy
from faas.runtime.instance import ExportLayout, Instance
from faas.runtime.instance_pool import InstancePool
from faas.runtime.wasi_instance import WasiInstance

_MEMORY = "memory"
# What a host function returns that failed. wasmtime-py accepts no float for an integer, and would raise an exception.
_DEFAULTS: dict[str, float] = {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0}

Contract = Literal["json", "lambda", "fetch", "wasi"]  # how a function is called


class InvalidModule(msgspec.Struct, frozen=True):
    """A module that cannot be executed. `reason` is for the function's author."""

    reason: str


class LinkedModule:
    """A linked module. `mutable_globals` are the names of the exported globals whose values instances can set."""

    __slots__ = (
        "_instance_pre", "_precompiled", "convention", "exports", "initializes", "instance_pre", "native_code_bytes",
        "pool",
    )  # fmt: skip

    def __init__(
        self,
        pool: InstancePool,
        precompiled: wasmtime.Module,
        linker: wasmtime.Linker,
        convention: CallingConvention,
        *,
        native_code_bytes: int,
        mutable_globals: list[str],
    ) -> None:
        self.pool = pool
        self._precompiled = precompiled
        self._instance_pre = linker.instantiate_pre(precompiled)  # kept alive: its address is used
        self.instance_pre: Any = c_api.address_of(self._instance_pre.ptr())
        self.native_code_bytes = native_code_bytes
        self.convention = convention
        types = {export.name: type_text(export.type) for export in precompiled.exports}
        self.initializes = types.get(abi.INITIALIZE) == abi.INITIALIZE_TYPE
        functions = [name for name in convention.exports if name != _MEMORY and name not in convention.uncalled]
        functions += [name for name, wanted in convention.optional_exports.items() if types.get(name) == wanted]
        functions = [*functions, abi.INITIALIZE] if self.initializes else functions
        self.exports = ExportLayout(functions, _MEMORY, mutable_globals)

    def close(self) -> None:
        """Free the module. No guest of it may be running."""
        self._instance_pre.close()
        self._precompiled.close()


class Module:
    """A module that can be executed on its own, with its inline policy."""

    __slots__ = ("contract", "convention", "inline_policy", "linked", "pool")

    def __init__(self, linked: LinkedModule, hand_off: HandOff, label: str) -> None:
        self.linked = linked
        self.convention = linked.convention
        self.contract: Contract = "wasi" if linked.convention.wasi else "json"
        self.pool = linked.pool
        self.inline_policy = InlinePolicy(hand_off, label, allowed=not linked.convention.wasi)

    def new_instance(self, memory_limit: int) -> Instance:
        """Make an instance that is not started yet."""
        if self.convention.wasi:
            return WasiInstance(self.pool.engine_address, memory_limit)
        return Instance(self.pool.engine_address, memory_limit)

    def start(self, instance: Instance) -> None:
        """Instantiate the module in `instance` and make it ready for a call."""
        instance.instantiate(self.linked.instance_pre, self.linked.exports)
        if self.linked.initializes:
            instance.call(abi.INITIALIZE)

    def close(self) -> None:
        """Free the module. No guest of it may be running."""
        self.linked.close()


def linker_of(engine: wasmtime.Engine, convention: CallingConvention) -> wasmtime.Linker:
    """Return a linker with the host functions of `convention`."""
    linker = wasmtime.Linker(engine)
    if convention.wasi:
        linker.define_wasi()
        linker.allow_shadowing = True  # the host functions below replace wasmtime's own
    for place, name, host in convention.host_functions():
        function_type = wasmtime.FuncType(
            [_value_type(name) for name in host.parameters], [_value_type(name) for name in host.results]
        )
        default = _DEFAULTS[host.results[0]] if host.results else None
        linker.define_func(place, name, function_type, guarded(host.call, default), access_caller=True)
    return linker


def _value_type(name: str) -> wasmtime.ValType:
    value_type: wasmtime.ValType = getattr(wasmtime.ValType, name)()
    return value_type
