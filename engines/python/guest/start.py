"""The order in which the engine's parts are put in place, when it is built."""

import gc
import sys

from . import library


def prepare(zones: dict[str, bytes]) -> None:
    """Load the library and the engine's modules, and replace what needs a system."""
    failed = library.load_all()
    if failed:
        raise ImportError(f"cannot be loaded: {'; '.join(failed)}")
    from . import console, engine, environment, event_loop, failures, heap, http_client, randomness  # noqa: F401

    library.fill_shelf(zones)
    environment.install()
    randomness.install()
    event_loop.install()
    failures.install()
    sys.set_int_max_str_digits(0)
    library.install_finders(randomness.SharedGenerator)
    console.install()
    main = sys.modules["__main__"].__dict__
    for name in [name for name in main if not name.startswith("__")]:
        del main[name]


def forget_practice() -> None:
    """Return the engine to the state before its practice."""
    from . import engine, environment, randomness

    engine.forget()
    environment.forget()
    randomness.forget()
    sys.modules.pop("function", None)
    gc.unfreeze()
    gc.collect()


def finish() -> None:
    """Settle the heap for the snapshot."""
    from . import heap

    heap.settle()
    heap.set_collection_threshold()
