"""The form of a calling convention: the exports it needs, the imports it provides, and how a function is called."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec
import wasmtime

from faas.runtime.instance import Instance

REACH = "faas"  # the module of what functions reach beyond their instance (faas.runtime.abi.reach)


class HostFunction(msgspec.Struct, frozen=True):
    """A function that guests may import. `call` gets the caller and the arguments."""

    parameters: tuple[str, ...]
    results: tuple[str, ...]
    call: Callable[..., Any]


class CallingConvention(msgspec.Struct, frozen=True, kw_only=True):
    """A calling convention.

    exports: every export it needs, with its type: functions, and the memory, called `memory`. marker: the export that
    shows that a module is meant to follow this convention. imports: the host functions of `module`. reach: those of the
    module REACH; a module that imports them needs the exports `reach_exports`, too. wasi: the others of `module` are
    wasmtime's own, and a call may block, so it is never inline. invoke: calls the function of an instance with an input
    and a limit of bytes for its output, and returns the output; raises GuestFault, and c_api.CallFailed when the guest
    traps. serve: the same with a request and a response as frames (faas.runtime.frames). uncalled: those of the exports
    that they do not call. optional_exports: functions that it uses where a module has them. functions_are_authors: the
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
    reach: Mapping[str, HostFunction] = {}
    reach_exports: Mapping[str, str] = {}
    uncalled: Collection[str] = ()
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
        exports = {export.name: type_text(export.type) for export in module.exports}
        lacking = [f"{name} {kind}" for name, kind in self.reach_exports.items() if exports.get(name) != kind]
        faults = []
        for wanted in module.imports:
            if self.wasi and wanted.module == self.module:
                continue  # wasmtime compares them when the module is linked
            shown = f"import {wanted.module}.{wanted.name}"
            host = self._host_function(wanted.module, wanted.name or "")
            if host is None:
                faults.append(f"{shown} is not provided; the imports provided: {', '.join(self._provided()) or 'none'}")
            elif _signature(wanted.type) != (host.parameters, host.results):
                kind = f"({', '.join(host.parameters)}) -> {', '.join(host.results) or '()'}"
                faults.append(f"{shown} has another type; provided is {kind}")
            elif wanted.module == REACH and lacking:
                faults.append(f"{shown} needs the export {', '.join(lacking)}")
        return faults

    def host_functions(self) -> Iterator[tuple[str, str, HostFunction]]:
        """Return each host function, after the module and the name by which it is imported."""
        for name, function in self.imports.items():
            yield self.module, name, function
        for name, function in self.reach.items():
            yield REACH, name, function

    def _host_function(self, module: str, name: str) -> HostFunction | None:
        return next((host for place, title, host in self.host_functions() if (place, title) == (module, name)), None)

    def _provided(self) -> list[str]:
        own = [f"those of {self.module}"] if self.wasi else [f"{self.module}.{name}" for name in self.imports]
        return own + [f"{REACH}.{name}" for name in self.reach]


def type_text(extern_type: object) -> str:
    """Return the type of an export or import as text: `(i32, i32) -> i64`, `memory`, …"""
    if isinstance(extern_type, wasmtime.FuncType):
        parameters = ", ".join(str(value) for value in extern_type.params)
        results = ", ".join(str(value) for value in extern_type.results)
        return f"({parameters}) -> {results or '()'}"
    return type(extern_type).__name__.removesuffix("Type").lower()


def _signature(extern_type: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not isinstance(extern_type, wasmtime.FuncType):
        return ("not a function",), ()
    return tuple(str(value) for value in extern_type.params), tuple(str(value) for value in extern_type.results)
