"""The languages that a function may be written in."""

from typing import Literal

Language = Literal["assemblyscript", "wat", "wasm"]
