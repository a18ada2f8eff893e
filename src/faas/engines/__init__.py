"""Engine modules: the interpreters that the functions of a language share, found by name or by digest, and built when
they are missing."""

from faas.engines.catalogue import EngineCatalogue, EngineMissing
from faas.engines.engine import Engine, EngineName

__all__ = ["Engine", "EngineCatalogue", "EngineMissing", "EngineName"]
