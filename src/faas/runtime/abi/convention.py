"""The form of a calling convention: the exports it needs, the imports it provides, and how a function is called."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import wasmtime

from faas.runtime.instance import Instance


class HostFunction(msgspec.Struct, frozen=True):
    """A function that guests may import from `env`. `call` gets the caller and the arguments."""

    parameters: tuple[str, ...]
    results: tuple[str, ...]
    call: Callable[..., Any]


class CallingConvention(msgspec.Struct, frozen=True, kw_only=True):
    """A calling convention.

    exports: every export it needs, with its type: functions, and the memory, called `memory`. marker: the export that
    shows that a module is meant to follow this convention. imports: the host functions of `module`. wasi: the others
    of `module` are wasmtime's own, and a call may block, so it is never inline. invoke: calls the
    function of an instance with an input and a limit of bytes for its output, and returns the output; raises
    GuestFault, and c_api.CallFailed when the guest traps. serve: the same with a request and a response as frames
    (faas.runtime.frames). optional_exports: functions that it uses where a module has them. functions_are_authors: the
    module's functions are the author's, so a trap names them. lone_surrogates: outputs may have escapes of unpaired
    surrogates, as JavaScript's JSON.stringify writes them.
    """

    name: str
    marker: str
    exports: Mapping[str, str]
    imports: Mapping[str, HostFunction]
    invoke: Callable[[Instance, bytes, int], bytes]
    serve: Callable[[Instance, bytes, int], bytes] | None = None
    module: str = "env"
    optional_exports: Mapping[str, str] = {}
    wasi: bool = False
    functions_are_authors: bool = True
    lone_surrogates: bool = False

    def missing(self, exports: Mapping[str, str]) -> list[str]:
        """Return a message for each export that this convention needs and `exports` (name → type) lacks."""
        faults = []
        for name, wanted in self.exports.items():
            found = exports.get(name)
            if found is None:
                faults.append(f"export {name} {wanted} is missing")
            elif found != wanted:
                faults.append(f"export {name} is {found}, needed is {wanted}")
        return faults

    def refused_imports(self, module: wasmtime.Module) -> list[str]:
        """Return a message for each import of `module` that this convention does not provide."""
        faults = []
        for wanted in module.imports:
            if self.wasi and wanted.module == self.module:
                continue  # wasmtime compares them when the module is linked
            host = self.imports.get(wanted.name or "") if wanted.module == self.module else None
            parameters, results = _signature(wanted.type)
            if host is None:
                provided = ", ".join(f"{self.module}.{name}" for name in self.imports) or "none"
                provided = f"those of {self.module}" if self.wasi else provided
                faults.append(f"import {wanted.module}.{wanted.name} is not provided; the imports provided: {provided}")
            elif (parameters, results) != (host.parameters, host.results):
                shown = f"({', '.join(host.parameters)}) -> {', '.join(host.results) or '()'}"
                faults.append(f"import {self.module}.{wanted.name} has another type; provided is {shown}")
        return faults


def _signature(extern_type: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not isinstance(extern_type, wasmtime.FuncType):
        return ("not a function",), ()
    return tuple(str(value) for value in extern_type.params), tuple(str(value) for value in extern_type.results)
