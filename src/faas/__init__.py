"""Functions as a service in one process: source in, WebAssembly out, every execution on record in Postgres."""

from importlib.metadata import version

__version__ = version("faas")
