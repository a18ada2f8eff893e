"""The author's lines around the place that an error names, as compilers show them."""

import re

from faas.compile.imports import explain_import

_PLACE = re.compile(r"\bfunction\.(?:[jt]s|py):(\d+):(\d+)")
_LINES_BEFORE, _LINES_AFTER = 2, 1
# A hostile source is one long line.
_LINE_SHOWN_CHARACTERS = 160
_MESSAGE_LIMIT_CHARACTERS = 8192


def with_code_frame(message: str, source: str, file: str) -> str:
    """Return `message` with the lines around the first place in it, if it names one in `source`."""
    message = explain_import(message[:_MESSAGE_LIMIT_CHARACTERS], source, file)
    place = _PLACE.search(message)
    lines = source.splitlines() or [""]
    if place is None:
        return message
    line, column = int(place[1]), int(place[2])
    if line > len(lines):  # the end of the source, as the engine sees it
        line, column = len(lines), len(lines[-1]) + 1
        message = f"{message[: place.start(1)]}{line}:{column}{message[place.end() :]}"
    return f"{message}\n\n{_frame(lines, line, column)}"


def _frame(lines: list[str], line: int, column: int) -> str:
    first, last = max(1, line - _LINES_BEFORE), min(len(lines), line + _LINES_AFTER)
    width = len(str(last))
    shown = []
    for number in range(first, last + 1):
        text = lines[number - 1].replace("\t", " ")
        # A long line is shown around the column.
        start = (
            max(0, column - _LINE_SHOWN_CHARACTERS // 2) if number == line and len(text) > _LINE_SHOWN_CHARACTERS else 0
        )
        marker = ">" if number == line else " "
        shown.append(f"{marker} {number:{width}} | {text[start : start + _LINE_SHOWN_CHARACTERS]}".rstrip())
        if number == line:
            shown.append(f"  {'':{width}} | {'':{max(0, column - 1 - start)}}^")
    return "\n".join(shown)
