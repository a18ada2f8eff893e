"""Engine modules: the interpreters that the functions of a language share, found by name or by digest, built when they
are missing, and stored in the database for as long as it has images of them."""

from faas.engines.catalogue import EngineCatalogue, EngineMissing, own_native_code_folder
from faas.engines.engine import Engine, EngineName
from faas.engines.store import EngineStore

__all__ = ["Engine", "EngineCatalogue", "EngineMissing", "EngineName", "EngineStore", "own_native_code_folder"]
