"""A function that uses what functions often use. The engine calls it before its snapshot is taken.

What an interpreter does only once is then done: caches of the library are filled, and bytecode is specialized.
"""

import asyncio
import base64
import bisect
import collections
import contextlib
import copy
import csv
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import heapq
import hmac
import html
import io
import itertools
import json
import logging
import math
import operator
import random
import re
import statistics
import string
import struct
import textwrap
import typing
import unicodedata
import urllib.parse
import uuid
from collections.abc import Iterator

_MAIL = re.compile(r"^([\w.+-]+)@((?:[\w-]+\.)+[a-z]{2,})$", re.IGNORECASE)
_log = logging.getLogger("practice")


class State(enum.Enum):
    """The state of an order."""

    OPEN = "open"
    PAID = "paid"


class Flags(enum.IntFlag):
    """Flags of an order."""

    GIFT = 1
    EXPRESS = 2


class Point(typing.NamedTuple):
    """A named tuple."""

    x: int
    y: float = 0.5


Pair = collections.namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One line of an order."""

    sku: str
    quantity: int
    price: decimal.Decimal

    @property
    def total(self) -> decimal.Decimal:
        """The price of all pieces."""
        return self.price * self.quantity


@dataclasses.dataclass(order=True)
class Order:
    """An order."""

    number: int
    customer: str = ""
    lines: list[Line] = dataclasses.field(default_factory=list)
    state: State = State.OPEN

    def total(self) -> decimal.Decimal:
        """The price of all lines."""
        return sum((line.total for line in self.lines), decimal.Decimal(0))


class InvalidOrder(ValueError):
    """Raised for an order that cannot be taken."""


class Stack:
    """A class with the usual special methods."""

    def __init__(self, *items: object) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[object]:
        return iter(self._items)

    def __getitem__(self, index: int) -> object:
        return self._items[index]

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stack) and self._items == other._items

    def __hash__(self) -> int:
        return hash(tuple(self._items))

    def __repr__(self) -> str:
        return f"Stack({', '.join(map(repr, self._items))})"


@functools.lru_cache(maxsize=None)
def fibonacci(n: int) -> int:
    """Return a number of Fibonacci."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def logged(function: typing.Callable[..., object]) -> typing.Callable[..., object]:
    """A decorator."""

    @functools.wraps(function)
    def call(*arguments: object, **options: object) -> object:
        _log.debug("calling %s", function.__name__)
        return function(*arguments, **options)

    return call


@contextlib.contextmanager
def measured() -> Iterator[dict[str, int]]:
    """A context manager."""
    counts = {"entered": 1}
    try:
        yield counts
    finally:
        counts["left"] = 1


async def double(value: int) -> int:
    """A coroutine."""
    await asyncio.sleep(0)
    return value * 2


@logged
def texts(event: dict[str, typing.Any], number: int) -> dict[str, object]:
    """Strings, regular expressions, encodings."""
    match = _MAIL.match(event.get("mail", "me@example.org"))
    re.compile(rf"item-{number}(a|b)+\d*")
    replaced = re.sub(r"(\d+)", lambda found: f"<{found[1]}>", "a1b22")
    words = re.split(r"[,;]\s*", "x, y;z") + re.findall(r"\w+", "some words here") + "a-b-c".split("-")
    text = f"{number:>6d}|{math.pi:.3f}|{1e6:,.2f}|{number!r}|{event.get('name', '?'):<10}"
    old = "%s %05d %.2f" % ("old", number, 1.5) + "{} {name}".format(1, name="new")
    url = urllib.parse.urlparse("https://example.org/path?q=1&r=a%20b")
    query = urllib.parse.urlencode({"a": 1, "b": "x y"}) + urllib.parse.quote("a/b c")
    parsed = urllib.parse.parse_qs(url.query)
    escaped = html.escape("<a & b>") + html.unescape("&lt;&eacute;")
    shown = textwrap.shorten("a long line of many words", 15) + textwrap.dedent("  x\n  y")
    template = string.Template("$who is $what").substitute(who="he", what="here")
    normal = unicodedata.normalize("NFC", "e\u0301") + "Straße".casefold() + "ÄÖ".lower()
    digest = hashlib.sha256(text.encode()).hexdigest() + hmac.new(b"key", b"message", "sha256").hexdigest()
    packed = base64.b64encode(struct.pack("<IHd", number, 2, 0.5)).decode() + base64.urlsafe_b64encode(b"x").decode()
    joined = " ".join(word.strip().title().replace("a", "b") for word in words if word and not word.startswith("q"))
    return {
        "mail": match.groups() if match else None, "text": text + old, "replaced": replaced, "host": url.netloc,
        "query": query, "parsed": parsed, "escaped": escaped, "shown": shown, "template": template, "normal": normal,
        "digest": digest, "packed": packed, "joined": joined,
    }  # fmt: skip


@logged
def numbers(number: int) -> dict[str, object]:
    """Numbers, dates, and what comes of them."""
    lines = [Line("a", 2, decimal.Decimal("1.25")), Line("b", number or 1, decimal.Decimal("9.99"))]
    order = Order(number, "you", lines)
    paid = dataclasses.replace(order, state=State.PAID)
    if State("open") is not State.OPEN or Flags(3) != Flags.GIFT | Flags.EXPRESS:
        raise InvalidOrder(order)
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=number)
    now = datetime.datetime.now(datetime.timezone.utc)
    parsed = datetime.datetime.fromisoformat("2026-02-03T04:05:06+00:00")
    read = datetime.datetime.strptime("2026-03-04 05:06", "%Y-%m-%d %H:%M")
    age = (now - parsed).total_seconds() + (datetime.date.today() - read.date()).days
    values = [3, 1, 2, number]
    return {
        "total": str(order.total().quantize(decimal.Decimal("0.01"))),
        "order": {**dataclasses.asdict(paid.lines[0]), "price": str(paid.lines[0].price)},
        "state": paid.state.value, "at": at.isoformat(), "day": at.strftime("%A %d %B %Y"), "age": age > 0,
        "mean": statistics.mean(values), "median": statistics.median(values), "deviation": statistics.stdev(values),
        "sums": [math.sqrt(2), math.floor(1.5), round(2.675, 2), divmod(17, 5), 2**100, 7 // 2, -7 % 3],
        "third": str(fractions.Fraction(1, 3) + number), "fibonacci": fibonacci(20), "point": Point(1)._asdict(),
        "id": str(uuid.UUID(int=number)), "random": isinstance(random.random() + random.choice([1, 2]), float),
        "shuffled": len(random.sample(range(10), 3)),
    }  # fmt: skip


@logged
def containers(number: int) -> dict[str, object]:
    """Collections, iteration, sorting."""
    counted = collections.Counter("mississippi")
    grouped: dict[int, list[int]] = collections.defaultdict(list)
    for key, group in itertools.groupby(sorted([5, 3, 4, 1], key=lambda value: value % 2), key=lambda value: value % 2):
        grouped[key].extend(group)
    queue = collections.deque([1, 2, 3], maxlen=3)
    queue.append(4)
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    chained = list(itertools.chain([1], itertools.islice(itertools.count(2), 3), itertools.repeat(0, 2)))
    heap = [3, 1, 2]
    heapq.heapify(heap)
    bisect.insort(heap, number)
    best = sorted({"x": 3, "y": 1}.items(), key=operator.itemgetter(1), reverse=True)
    copied = copy.deepcopy({"a": [1, {"b": {2, 3}}]})
    stack = Stack(1, "two", None)
    first, *rest = stack
    merged = {**{"a": 1}, "b": 2} | {"c": 3}
    squares = {value: value**2 for value in range(5) if value % 2} | dict(zip("ab", [1, 2], strict=True))
    match merged:
        case {"a": int(value), **others}:
            matched = [value, len(others)]
        case _:
            matched = []
    rows = list(csv.DictReader(io.StringIO("name,age\nx,1\ny,2\n")))
    output = io.StringIO()
    csv.writer(output).writerows([[1, "a,b"], [2, None]])
    return {
        "counted": counted.most_common(2), "grouped": grouped, "queue": list(queue), "ordered": ordered,
        "chained": chained, "heap": heap, "best": best, "copied": len(copied), "rest": rest, "stack": repr(stack),
        "has": "two" in stack and stack[0] == 1 and len(stack) == 3, "first": first, "merged": merged,
        "squares": squares, "matched": matched, "rows": rows, "csv": output.getvalue(), "pair": Pair(1, 2),
        "sets": sorted({1, 2} | {3} - {2}), "any": any(value > 1 for value in (1, 2)), "max": max("ab", key=ord),
        "reversed": list(reversed([1, 2])), "numbered": list(enumerate("ab", 1)), "mapped": list(map(str, range(3))),
    }  # fmt: skip


def failures(number: int) -> list[str]:
    """Exceptions."""
    messages = []
    for action in (
        lambda: {}["key"],
        lambda: int("x"),
        lambda: [][number],
        lambda: None.missing,  # type: ignore[attr-defined]
        lambda: 1 / 0,
        lambda: json.loads("{"),
    ):
        try:
            action()  # type: ignore[no-untyped-call]
        except (KeyError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
            messages.append(f"{type(error).__name__}: {error}")
        finally:
            messages.append("done")
    try:
        try:
            raise InvalidOrder("first")
        except InvalidOrder as error:
            raise RuntimeError("second") from error
    except RuntimeError as error:
        messages.append(repr(error.__cause__))
    return messages


def handle(event: dict[str, typing.Any]) -> dict[str, object]:
    """Use all of it."""
    number = event.get("number", 0)
    with measured() as counts:
        result = {**texts(event, number), **numbers(number), **containers(number)}
    if number % 10 == 0:
        counts["doubled"] = asyncio.run(double(number))
        dataclasses.make_dataclass(f"Made{number}", [("x", int)])(1)
        type("Dynamic", (Order,), {"extra": 1})(1)
        print("practice", number, end="")
        result["failures"] = failures(number)
    copied = json.loads(json.dumps({"a": [1, 2.5, None, True, "é"], "b": {"c": {}}}))
    return {"event": event, "result": result, "counts": counts, "copied": copied}
