"""What a calling convention is: the exports it needs, the imports it offers, and how a call is made."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import wasmtime

from faas.runtime.instance import Guest


class Host(msgspec.Struct, frozen=True):
    """A function that guests may import from `env`. `call` gets the caller and the arguments, and must never raise."""

    parameters: tuple[str, ...]
    results: tuple[str, ...]
    call: Callable[..., Any]


class ABI(msgspec.Struct, frozen=True, kw_only=True):
    """A calling convention.

    exports: every export it needs, with its type: functions, and the memory called `memory`. marker: the export that
    tells whose module this is meant to be. imports: what `env` offers. invoke: input bytes in, output bytes out; raises
    GuestFault, or native.Unusable when the guest trapped.
    """

    name: str
    marker: str
    exports: Mapping[str, str]
    imports: Mapping[str, Host]
    invoke: Callable[[Guest, bytes, int], bytes]

    def missing(self, exports: Mapping[str, str]) -> list[str]:
        """What `exports` (name → type) lacks of this convention, in words."""
        faults = []
        for name, wanted in self.exports.items():
            found = exports.get(name)
            if found is None:
                faults.append(f"export {name} {wanted} is missing")
            elif found != wanted:
                faults.append(f"export {name} is {found}, needed is {wanted}")
        return faults

    def refused_imports(self, module: wasmtime.Module) -> list[str]:
        """The imports of `module` that this convention does not offer, in words."""
        faults = []
        for wanted in module.imports:
            host = self.imports.get(wanted.name or "") if wanted.module == "env" else None
            parameters, results = _signature(wanted.type)
            if host is None:
                offered = ", ".join(f"env.{name}" for name in self.imports) or "none"
                faults.append(f"import {wanted.module}.{wanted.name} is not provided; the imports provided: {offered}")
            elif (parameters, results) != (host.parameters, host.results):
                shown = f"({', '.join(host.parameters)}) -> {', '.join(host.results) or '()'}"
                faults.append(f"import env.{wanted.name} has another type; provided is {shown}")
        return faults


def _signature(kind: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not isinstance(kind, wasmtime.FuncType):
        return ("not a function",), ()
    return tuple(str(value) for value in kind.params), tuple(str(value) for value in kind.results)
