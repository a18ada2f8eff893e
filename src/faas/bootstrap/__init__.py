"""The composition root: opens the components that the settings ask for, and closes them in reverse order."""

from faas.bootstrap.compilers import LocalRuntime, open_local_runtime
from faas.bootstrap.database import open_database, open_existing_database
from faas.bootstrap.membership import Membership
from faas.bootstrap.service import Service, open_service

__all__ = [
    "LocalRuntime",
    "Membership",
    "Service",
    "open_database",
    "open_existing_database",
    "open_local_runtime",
    "open_service",
]
