"""Randomness and hashes of time: new in each call, and none that a snapshot could keep.

The engine's snapshot and the images of functions hold the state of random number generators. Each call gives the shared
generator of `random`, and every other one that was made without a seed, a seed of its own.
"""

import os
import random
import sys
import weakref
from importlib.machinery import ModuleSpec
from types import ModuleType

_SEED_BYTES = 16
_DRAWN_BY = ("random", "statistics")  # modules that draw from the shared generator

loading = True  # at top level, where an image is taken; False in a call
_seed: bytes | None = None
_shared_is_used = False
_system_random = os.urandom
_ready: dict[str, ModuleType] = {}
_unseeded: "weakref.WeakSet[random.Random]" = weakref.WeakSet()
_plain_seed = random.Random.seed


def urandom(size: int) -> bytes:
    """Return random bytes of the host. Raises RuntimeError at the top level of a function's module."""
    if loading:
        raise RuntimeError(
            "randomness at the top level would be the same in every call: it is evaluated once, when the function is "
            "deployed; ask for it in the handler"
        )
    return _system_random(size)


def _seed_generator(self: random.Random, a: object = None, version: int = 2) -> None:
    """Seed a generator; one that asks for a seed of the system while the module is loaded gets one in each call."""
    if a is None and loading and type(self) is not random.SystemRandom:
        _unseeded.add(self)
        _plain_seed(self, 0)
    else:
        _unseeded.discard(self)
        _plain_seed(self, a, version)  # type: ignore[arg-type]


class SharedGenerator:
    """The finder of the modules that draw from the shared generator: notices that a function uses it."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the module that was loaded with the engine."""
        return ModuleSpec(name, SharedGenerator) if name in _ready else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """Return the module, and seed the generator where a call imports it."""
        global _shared_is_used
        if not _shared_is_used:
            _shared_is_used = True
            if _seed is not None:
                random.seed(int.from_bytes(_seed))
        return _ready[spec.name]

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Do nothing: it was executed when the engine was built."""


def install() -> None:
    """Replace the sources of randomness. The modules that draw from the shared generator are imported anew by use."""
    os.urandom = urandom
    sys.modules["posix"].urandom = urandom  # type: ignore[attr-defined]
    random._urandom = urandom  # type: ignore[attr-defined]
    random.Random.seed = _seed_generator  # type: ignore[method-assign]
    random.seed = random._inst.seed
    for name in _DRAWN_BY:
        _ready[name] = sys.modules.pop(name)


def begin_call(seed: bytes) -> None:
    """Seed the generators that the function uses with SEED_BYTES of the host."""
    global _seed, loading
    loading = False
    _seed = seed
    if _shared_is_used:
        random.seed(int.from_bytes(seed))
    if _unseeded:
        for number, generator in enumerate(list(_unseeded)):
            _plain_seed(generator, int.from_bytes(seed) + number + 1)


def forget() -> None:
    """Return to the state before the first call."""
    global _seed, loading, _shared_is_used
    _seed, loading, _shared_is_used = None, True, False
    _unseeded.clear()
    for name in _ready:
        sys.modules.pop(name, None)
