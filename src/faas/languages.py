"""The languages that functions can be written in."""

from typing import Literal

Language = Literal["javascript", "typescript", "python", "assemblyscript", "wat", "wasm"]

# Their functions are images of an engine module; modules of other languages must not be.
ENGINE_LANGUAGES: tuple[Language, ...] = ("javascript", "typescript", "python")
