"""The calling conventions. What a module exports decides which one it is called by."""

from collections.abc import Mapping, Sequence

import wasmtime

from faas.runtime.abi import assemblyscript, core
from faas.runtime.abi.convention import ABI

INITIALIZE, INITIALIZE_TYPE = "_initialize", "() -> ()"  # called first, if it is there
CONVENTIONS: Sequence[ABI] = (assemblyscript.CONVENTION, core.CONVENTION)
_FAULTS_SHOWN, _FAULT_SHOWN = 5, 1000  # so many, of so many characters


def choose(module: wasmtime.Module) -> tuple[ABI | None, str]:
    """The convention that `module` follows, or None and what it lacks of the one that it comes closest to."""
    exports = {export.name: describe(export.type) for export in module.exports}
    for abi in CONVENTIONS:
        if not (faults := abi.missing(exports)):
            faults = _misfit(exports) + abi.refused_imports(module)
            return (None, _told(faults)) if faults else (abi, "")
    nearest = next((abi for abi in CONVENTIONS if abi.marker in exports), None)
    if nearest is None:
        both = " or ".join(f"{abi.name} ({', '.join(abi.exports)})" for abi in CONVENTIONS)
        return None, f"the module follows no known calling convention: {both}"
    return None, f"the module does not follow the {nearest.name} convention: {_told(nearest.missing(exports))}"


def _misfit(exports: Mapping[str, str]) -> list[str]:
    kind = exports.get(INITIALIZE, INITIALIZE_TYPE)
    is_function = kind.startswith("(")
    return [f"export {INITIALIZE} is {kind}, needed is {INITIALIZE_TYPE}"] * (is_function and kind != INITIALIZE_TYPE)


def _told(faults: Sequence[str]) -> str:
    """The first few of them: a module may have 100,000, with names as long."""
    shown = "; ".join(
        fault if len(fault) <= _FAULT_SHOWN else f"{fault[:_FAULT_SHOWN]}…" for fault in faults[:_FAULTS_SHOWN]
    )
    return f"{shown}; and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else shown


def describe(kind: object) -> str:
    """An export's or import's type as text: `(i32, i32) -> i64`, `memory`, …"""
    if isinstance(kind, wasmtime.FuncType):
        parameters = ", ".join(str(value) for value in kind.params)
        results = ", ".join(str(value) for value in kind.results)
        return f"({parameters}) -> {results or '()'}"
    return type(kind).__name__.removesuffix("Type").lower()
