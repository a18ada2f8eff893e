"""Random classes for json-as, of every shape that functions may have, and random documents of them in every spelling."""

import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

_CHARACTERS = 'abxyz019 _-/"\\[]{}:,\t\n\r\b\f\x00\x1f\x7fé€\u2028\ufeff😀𝄞'
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "/": "\\/"}
_INTEGERS = {f"{sign}{bits}": (sign, bits) for sign in "iu" for bits in (8, 16, 32, 64)}


@dataclass(frozen=True)
class Type:
    """A member's type: what the source calls it, its default there and as a value, and a generator of values."""

    text: str
    default_text: str
    default: Any
    value: Callable[[random.Random, int], Any]
    nullable: bool = True  # whether `| null` may be added
    element: bool = True  # whether arrays, sets, and maps may hold it


@dataclass
class Class:
    """A class of the source. `members` are name → type."""

    name: str
    members: dict[str, Type] = field(default_factory=dict)

    def default(self) -> dict[str, Any]:
        """Return the value of `new Name()`."""
        return {name: kind.default for name, kind in self.members.items()}

    def value(self, chance: random.Random, depth: int) -> dict[str, Any]:
        """Return a random document, of which some members are missing."""
        names = [name for name in self.members if chance.random() < 0.85]
        return {name: self.members[name].value(chance, depth + 1) for name in names}

    def filled(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return `value` with its missing members, and without the unknown ones, as the function returns it."""
        return {name: value.get(name, kind.default) for name, kind in self.members.items()}

    def source(self) -> str:
        """Return the declaration."""
        members = "\n".join(f"  {name}: {kind.text} = {kind.default_text};" for name, kind in self.members.items())
        return f"@json class {self.name} {{\n{members}\n}}\n"


def _text(chance: random.Random, _depth: int = 0) -> str:
    return "".join(chance.choice(_CHARACTERS) for _ in range(chance.choice([0, 1, 2, 5, 9, 20])))


def _integer(sign: str, bits: int) -> Callable[[random.Random, int], int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if sign == "i" else (0, (1 << bits) - 1)
    return lambda chance, _depth: chance.choice([0, 1, low, high, chance.randint(low, high), chance.randint(0, 100)])


def _double(chance: random.Random, _depth: int) -> float:
    choices = [
        0.0,
        1.0,
        -1.5,
        1e21,
        1e300,
        5e-324,
        0.1,
        chance.uniform(-1e6, 1e6),
        float(chance.randint(-(10**9), 10**9)),
    ]
    return chance.choice(choices)


def _single(chance: random.Random, _depth: int) -> float:
    return chance.randint(-8000, 8000) / 8  # the shortest digits of an f32 are those of the f64


def _date(chance: random.Random, _depth: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=chance.randint(0, 4 * 10**12))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def any_value(chance: random.Random, depth: int = 0) -> Any:
    """Return a random JSON value."""
    kinds = 6 if depth < 3 else 4
    match chance.randrange(kinds):
        case 0:
            return None
        case 1:
            return chance.random() < 0.5
        case 2:
            return chance.choice([0, -7, 12345, 0.5, -1e-7, 2**53])
        case 3:
            return _text(chance)
        case 4:
            return [any_value(chance, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            return {_text(chance): any_value(chance, depth + 1) for _ in range(chance.randrange(4))}


def _bytes(chance: random.Random, _depth: int) -> list[int]:
    return [chance.randrange(256) for _ in range(chance.randrange(6))]


def _scalars() -> list[Type]:
    kinds = [Type(name, "0", 0, _integer(*shape), nullable=False) for name, shape in _INTEGERS.items()]
    kinds += [
        Type("f64", "0", 0, _double, nullable=False),
        Type("f32", "0", 0, _single, nullable=False),
        Type("number", "0", 0, _double, nullable=False, element=False),
        Type("bool", "false", False, lambda chance, _: chance.random() < 0.5, nullable=False),
        Type("boolean", "true", True, lambda chance, _: chance.random() < 0.5, nullable=False),
        Type("string", '""', "", _text),
        Type("string", '"a/é😀"', "a/é😀", _text),
        Type("Date", "new Date(0)", "1970-01-01T00:00:00.000Z", _date),
        Type("JSON.Value", "JSON.Value.from<bool>(true)", True, any_value),
        Type("JSON.Raw", 'new JSON.Raw("null")', None, any_value),
        Type("JSON.Obj", "new JSON.Obj()", {}, lambda chance, _: {_text(chance): any_value(chance) for _ in range(3)}),
        Type("Kind", "Kind.One", 0, lambda chance, _: chance.randrange(2), nullable=False),
        Type("Money", "0", 0, _double, nullable=False),
        Type("JSON.Box<i32>", "new JSON.Box<i32>(7)", 7, _integer("i", 32)),
        Type("Generic<i16>", "new Generic<i16>(5)", {"v": 5}, lambda chance, _: {"v": chance.randrange(-99, 99)}),
        Type("Hex", 'new Hex("0f")', "0f", lambda chance, _: f"{chance.randrange(1 << 16):x}"),
        Type("Uint8Array", "new Uint8Array(2)", [0, 0], _bytes, element=False),
    ]
    return kinds


def _nullable(kind: Type) -> Type:
    return Type(
        f"{kind.text} | null",
        "null",
        None,
        lambda chance, depth: None if chance.random() < 0.3 else kind.value(chance, depth),
        nullable=False,
        element=False,
    )


def _array(kind: Type) -> Type:
    def value(chance: random.Random, depth: int) -> list[Any]:
        return _list(chance, depth, kind)

    return Type(f"{kind.text}[]", "[]", [], value)


def _filled_array(kind: Type) -> Type:
    return Type(f"{kind.text}[]", f"[{kind.default_text}]", [kind.default], _array(kind).value)


def _static_array(kind: Type) -> Type:
    text = f"StaticArray<{kind.text}>"
    if kind.text == "Date" or kind.text.startswith("Set<"):
        return _array(kind)
    return Type(text, f"[{kind.default_text}]", [kind.default], _array(kind).value, element=False)


def _set(kind: Type) -> Type:
    """A set of numbers or strings, which keep their order."""
    if kind.text not in _INTEGERS and kind.text != "string":
        return _array(kind)

    def value(chance: random.Random, depth: int) -> list[Any]:
        return list(dict.fromkeys(_list(chance, depth, kind)))

    return Type(f"Set<{kind.text}>", f"new Set<{kind.text}>()", [], value)


def _map(kind: Type) -> Type:
    text = f"Map<string, {kind.text}>"

    def value(chance: random.Random, depth: int) -> dict[str, Any]:
        return {_text(chance): item for item in _list(chance, depth, kind)}

    return Type(text, f"new {text}()", {}, value)


def _map_by_number(kind: Type) -> Type:
    text = f"Map<i32, {kind.text}>"

    def value(chance: random.Random, depth: int) -> dict[str, Any]:
        return {str(chance.randrange(-99, 99)): item for item in _list(chance, depth, kind)}

    return Type(text, f"new {text}()", {}, value)


def _list(chance: random.Random, depth: int, kind: Type) -> list[Any]:
    return [kind.value(chance, depth + 1) for _ in range(chance.choice([0, 1, 2, 4]) if depth < 4 else 0)]


_CONTAINERS = [_array, _array, _filled_array, _map, _map, _map_by_number, _set, _static_array]


def _object(made: Class) -> Type:
    return Type(made.name, f"new {made.name}()", made.default(), made.value)


def _reference(made: Class) -> Type:
    """A nullable member of a class that may come later, or be the class itself."""

    def value(chance: random.Random, depth: int) -> Any:
        return made.value(chance, depth) if depth < 3 and chance.random() < 0.6 else None

    return Type(f"{made.name} | null", "null", None, value, nullable=False, element=False)


HEAD = """import { JSON } from "json-as";
enum Kind { One, Two }
type Money = f64;
@json class Generic<T> { v: T; constructor(v: T) { this.v = v; } }
@json class Hex {
  constructor(public v: string) {}
  @serializer("string") write(self: Hex): string { return `"${self.v}"`; }
  @deserializer("string") read(data: string): Hex { return new Hex(data.slice(1, -1)); }
}
"""


def make_classes(chance: random.Random) -> list[Class]:
    """Return some classes, of which the last is the document's. Those before are its members' types, and refer to it."""
    made: list[Class] = []
    last = Class("In")
    for number in range(chance.randrange(1, 4)):
        made.append(_fill(chance, Class(f"Part{number}"), made, [*made, last]))
    _fill(chance, last, made, [*made, last])
    return [*made, last]


def _fill(chance: random.Random, made: Class, parts: list[Class], all_classes: list[Class]) -> Class:
    for number in range(chance.randrange(0, 9)):
        kind = chance.choice([*_scalars(), *map(_object, parts)])
        for _ in range(chance.choice([0, 0, 1, 2])):
            kind = chance.choice(_CONTAINERS)(kind) if kind.element else kind
        if kind.nullable and chance.random() < 0.3:
            kind = _nullable(kind)
        made.members[_name(chance, number)] = kind
    if chance.random() < 0.5:
        made.members["again"] = _reference(chance.choice(all_classes))
    return made


def _name(chance: random.Random, number: int) -> str:
    return chance.choice(["a", "ab", "name", "number", "m"]) + str(number)


def expected(kind: Any, classes: dict[str, Class], value: Any) -> Any:
    """Return what a function that parses and writes `value` answers: missing members filled in, in nested ones too."""
    text = kind if isinstance(kind, str) else kind.text
    text = text.removesuffix(" | null")
    if value is None:
        return None
    if text in classes:
        made = classes[text]
        return {
            name: expected(member, classes, value[name]) if name in value else member.default
            for name, member in made.members.items()
        }
    if text.endswith("[]"):
        return [expected(text[:-2], classes, item) for item in value]
    if container := re.fullmatch(r"(?:Map<\w+, |StaticArray<|Set<)(.+)>", text):
        if isinstance(value, list):
            return [expected(container[1], classes, item) for item in value]
        return {key: expected(container[1], classes, item) for key, item in value.items()}
    return value


def first_difference(found: Any, wanted: Any, path: str = "$") -> str | None:
    """Return where two JSON values first differ, and in what, or None."""
    if isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
        pairs = [(found[key], wanted[key], f"{path}.{key}") for key in found]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = [(one, other, f"{path}[{at}]") for at, (one, other) in enumerate(zip(found, wanted, strict=True))]
    else:
        same = found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
        return None if same else f"{path} is {found!r}, not {wanted!r}"
    return next(filter(None, (first_difference(*pair) for pair in pairs)), None)


def spell(chance: random.Random, value: Any) -> str:
    """Return `value` as JSON in a random spelling, with the keys of every object shuffled."""
    space = chance.choice(["", "", "", " ", "\n\t", "  \r\n"])
    match value:
        case None | True | False:
            written = json.dumps(value)
        case int() | float():
            written = _spell_number(chance, value)
        case str():
            written = _spell_text(chance, value)
        case list():
            written = f"[{space}" + ",".join(spell(chance, item) for item in value) + "]"
        case _:
            items = list(value.items())
            chance.shuffle(items)
            pairs = (f"{space}{_spell_text(chance, key)}{space}:{spell(chance, item)}" for key, item in items)
            written = "{" + ",".join(pairs) + f"{space}}}"
    return f"{space}{written}{space}"


def _spell_text(chance: random.Random, text: str) -> str:
    return '"' + "".join(_spell_character(chance, character) for character in text) + '"'


def _spell_character(chance: random.Random, character: str) -> str:
    if character in _SHORT and chance.random() < 0.5:
        return _SHORT[character]
    if character in '"\\' or ord(character) < 0x20 or chance.random() < 0.2:
        units = character.encode("utf-16-be")
        style = chance.choice(["%04x", "%04X"])
        return "".join("\\u" + style % int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return character


def _spell_number(chance: random.Random, value: float) -> str:
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e15):
        return chance.choice([repr(value), repr(value).replace("e", "E")])
    whole = int(value)
    if isinstance(value, float) and math.copysign(1, value) < 0 and not value:
        return "-0"
    tail = len(str(whole)) - len(str(whole).rstrip("0")) if whole else 0
    spellings = [str(whole), str(whole), f"{whole}.0", f"{whole}.000", f"{whole}e0", f"{whole}E+0"]
    if whole:
        spellings.append(f"{whole}0e-1")
    if tail:
        spellings.append(f"{str(whole)[:-tail]}e{tail}")
    return chance.choice(spellings)
