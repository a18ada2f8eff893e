"""Markdown documents as tests read them: links, anchors, text outside code blocks."""

import re
from pathlib import Path


def text_outside_code_blocks(path: Path) -> str:
    """Return the document without its fenced code blocks."""
    return re.sub(r"^[ ]*```.*?^[ ]*```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(path: Path) -> list[str]:
    """Return the targets of the links that stay in the repository."""
    text = re.sub(r"<!--.*?-->", "", text_outside_code_blocks(path), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "`", text))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of the document."""
    headings = re.findall(r"^#+ (.+)$", text_outside_code_blocks(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_cells(path: Path) -> list[list[str]]:
    """Return the cells of each row of the document's tables, headers included."""
    rows = re.findall(r"^\|(.*)\|$", path.read_text(), flags=re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows if not re.fullmatch(r"[ |:-]+", row)]
