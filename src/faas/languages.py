"""The languages that functions can be written in."""

from typing import Literal

Language = Literal["javascript", "typescript", "python", "assemblyscript", "wat", "wasm"]
