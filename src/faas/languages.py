"""The languages that functions can be written in."""

from typing import Literal

Language = Literal["javascript", "typescript", "assemblyscript", "wat", "wasm"]
