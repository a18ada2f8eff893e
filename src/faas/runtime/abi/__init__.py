"""The calling conventions. A module's exports decide by which of them it is called."""

from collections.abc import Mapping, Sequence

import msgspec
import wasmtime

from faas.runtime.abi import assemblyscript, core, javascript, python, wasi
from faas.runtime.abi.convention import CallingConvention, type_text

HANDLE = "handle"  # a module that exports it is no WASI command, whatever else it exports
INITIALIZE, INITIALIZE_TYPE = "_initialize", "() -> ()"  # called before the function when a module exports it
_DOCUMENTED: Sequence[CallingConvention] = (assemblyscript.CONVENTION, core.CONVENTION, wasi.CONVENTION)
CONVENTIONS: Sequence[CallingConvention] = (assemblyscript.CONVENTION_WITH_JSON_AS, *_DOCUMENTED)
# Of engine modules, which only the platform builds. Modules of authors cannot follow one that is listed here alone.
ENGINE_CONVENTIONS: Sequence[CallingConvention] = (javascript.CONVENTION, python.CONVENTION, core.CONVENTION)
_MAX_FAULTS_SHOWN, _MAX_FAULT_SHOWN = 5, 1000  # faults, characters of each: a hostile module has 100,000 long ones


class NoConvention(msgspec.Struct, frozen=True):
    """The module follows no calling convention. `reason` says what it lacks of the most similar one."""

    reason: str


def detect(module: wasmtime.Module) -> CallingConvention | NoConvention:
    """Return the calling convention that `module` follows."""
    exports = {export.name: type_text(export.type) for export in module.exports}
    for convention in CONVENTIONS:
        if not convention.missing(exports) and not (convention.wasi and HANDLE in exports):
            faults = _initialize_faults(exports) + convention.refused_imports(module)
            return NoConvention(_joined(faults)) if faults else convention
    intended = next((convention for convention in _DOCUMENTED if convention.marker in exports), None)
    if intended is None or not intended.missing(exports):
        known = " or ".join(f"{convention.name} ({', '.join(convention.exports)})" for convention in _DOCUMENTED)
        return NoConvention(f"the module follows no known calling convention: {known}")
    faults = intended.missing(exports)
    return NoConvention(f"the module does not follow the {intended.name} convention: {_joined(faults)}")


def detect_engine(module: wasmtime.Module) -> CallingConvention | NoConvention:
    """Return the calling convention of engines that `module` follows."""
    exports = {export.name: type_text(export.type) for export in module.exports}
    for convention in ENGINE_CONVENTIONS:
        if not convention.missing(exports):
            faults = convention.refused_imports(module)
            return NoConvention(_joined(faults)) if faults else convention
    return NoConvention("the engine follows no known calling convention")


def _initialize_faults(exports: Mapping[str, str]) -> list[str]:
    found = exports.get(INITIALIZE, INITIALIZE_TYPE)
    if found.startswith("(") and found != INITIALIZE_TYPE:  # only a function is called
        return [f"export {INITIALIZE} is {found}, needed is {INITIALIZE_TYPE}"]
    return []


def _joined(faults: Sequence[str]) -> str:
    shown = "; ".join(
        fault if len(fault) <= _MAX_FAULT_SHOWN else f"{fault[:_MAX_FAULT_SHOWN]}…"
        for fault in faults[:_MAX_FAULTS_SHOWN]
    )
    return f"{shown}; and {len(faults) - _MAX_FAULTS_SHOWN} more" if len(faults) > _MAX_FAULTS_SHOWN else shown
