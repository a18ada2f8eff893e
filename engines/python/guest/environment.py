"""`os.environ` of a function: its variables, and its secrets, which have their values in calls only.

An image of the function is taken after its top level, so that no secret may be read there.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from . import randomness

_names: set[bytes] = set()  # of the secrets whose values are not in os.environ
_values = b""  # of the secrets, JSON, until one of them may be read


class Environment(os._Environ[Any]):
    """The class of `os.environ` and `os.environb`, which share their content."""

    _data: dict[bytes, bytes]

    def __getitem__(self, key: Any) -> Any:
        if _names or _values:
            name = self.encodekey(key)
            if randomness.loading and name in _names:
                _refuse(name)
            self._reveal()
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._reveal()
        name = self.encodekey(key)
        return name in self._data or name in _names

    def __setitem__(self, key: Any, value: Any) -> None:
        self._reveal()
        super().__setitem__(key, value)
        _names.discard(self.encodekey(key))

    def __delitem__(self, key: Any) -> None:
        self._reveal()
        if self.encodekey(key) in _names:
            _names.discard(self.encodekey(key))
        else:
            super().__delitem__(key)

    def __iter__(self) -> Iterator[Any]:
        self._reveal()
        return map(self.decodekey, [*self._data, *sorted(_names)])

    def __len__(self) -> int:
        self._reveal()
        return len(self._data) + len(_names)

    def __repr__(self) -> str:
        return f"environ({{{', '.join(f'{key!r}: {value!r}' for key, value in self.items())}}})"

    def _reveal(self) -> None:
        """Put the values of the secrets into the environment, in a call."""
        global _values
        if not randomness.loading and (_names or _values):
            values, _values = json.loads(_values or b"{}"), b""
            _names.clear()
            for name, value in values.items():
                self._data.setdefault(os.fsencode(name), os.fsencode(value))  # the author's own value remains


def install() -> None:
    """Give `os.environ` its class."""
    os.environ.__class__ = os.environb.__class__ = Environment


def configure(variables: Mapping[str, str], secrets: list[str]) -> None:
    """Set the `variables`, and the names of the `secrets`. For the top level."""
    os.environ.update(variables)
    _names.update(map(os.fsencode, secrets))


def begin_call(secrets: bytes) -> None:
    """Set the values of the secrets: a JSON object."""
    global _values
    _values = secrets


def forget() -> None:
    """Return to the state before the first function."""
    global _values
    _values = b""
    _names.clear()


def _refuse(name: bytes) -> None:
    raise RuntimeError(
        f"the secret {os.fsdecode(name)} is read at top level, where an image is taken: read it in the handler"
    )
