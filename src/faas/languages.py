"""The languages that functions can be written in."""

from typing import Literal

Language = Literal["assemblyscript", "wat", "wasm"]
