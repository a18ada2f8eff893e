"""The pages of docs/ and the README: links, navigation, and what they say about errors, events and terms."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from faas.api import problems
from tests.helpers.markdown import anchors, links, table_cells

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
README_LINES = 150
LISTED_ELSEWHERE = {"decisions", "compute-module"}  # their README.md lists the pages


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


class _IgnoreTags(yaml.SafeLoader):
    """A loader for mkdocs.yml, whose tags name Python objects."""


_IgnoreTags.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def navigation() -> set[str]:
    """Return the pages that mkdocs.yml lists, relative to docs/."""
    found: set[str] = set()

    def visit(entry: Any) -> None:
        if isinstance(entry, str):
            found.add(entry)
        else:
            for child in entry.values() if isinstance(entry, dict) else entry:
                visit(child)

    visit(yaml.load((ROOT / "mkdocs.yml").read_text(), _IgnoreTags)["nav"])  # noqa: S506 - a safe loader
    return found


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "packaging" / "README.md", *PAGES], ids=label)
def test_links_of_a_page_lead_to_files_and_headings(path: Path) -> None:
    for target in links(path):
        name, _, anchor = target.partition("#")
        if name == "NNNN-short-name.md":  # of the template
            continue
        file = (path.parent / name) if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("path", [ROOT / "CONTRIBUTING.md", DOCS / "architecture.md"], ids=label)
def test_names_that_a_page_places_in_a_file_are_there(path: Path) -> None:
    text = " ".join(path.read_text().split())
    named = [(name, file) for name, file in re.findall(r"`(\w+)` in \[[^]]*\]\(([^)]+\.py)\)", text)]
    named += [(name, file) for file, name in re.findall(r"\]\(([^)]+\.py)\), `(\w+)`", text)]
    assert len(named) >= 2
    for name, file in named:
        assert re.search(rf"\b{name}\b", (path.parent / file).read_text()), (name, file)


def test_navigation_lists_every_page() -> None:
    pages = {str(page.relative_to(DOCS)) for page in PAGES if page.parent.name not in LISTED_ELSEWHERE}
    assert navigation() == pages | {f"{folder}/README.md" for folder in LISTED_ELSEWHERE}


def test_readme_can_be_scanned() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_http_page_lists_every_kind_of_problem() -> None:
    rows = {cells[1].strip("`"): cells[0] for cells in table_cells(DOCS / "reference" / "http.md") if len(cells) == 3}
    kinds = [value for value in vars(problems).values() if isinstance(value, problems.ProblemKind)]
    assert len(kinds) >= 11
    for kind in kinds:
        assert rows.get(kind.name) == str(kind.status), kind


def test_log_events_of_the_pages_exist() -> None:
    source = "\n".join(file.read_text() for file in (ROOT / "src" / "faas").rglob("*.py"))
    named = set()
    # They name modules of Python, and what other platforms have.
    others = {"python", "javascript", "move-a-worker", "move-a-lambda"}
    how_to = [page for page in (DOCS / "how-to").glob("*.md") if page.stem not in others]
    for page in [DOCS / "architecture.md", *how_to, DOCS / "reference" / "metrics-and-logs.md"]:
        named |= set(re.findall(r"`([a-z_]+\.[a-z]+(?:_[a-z]+)*)`", page.read_text()))
    events = {name for name in named if not re.search(r"\.(py|md|sql|log|so|json|yml|mjs|lock|zip|partial|h|c)$", name)}
    events -= {"consumers.listener", "consumers.compilation_jobs", "consumers.compilation_results"}  # of /health
    events -= {name for name in events if name.startswith(("toolchains.", "faas."))}  # those are what functions import
    assert len(events) >= 10
    for event in events:
        assert f'"{event}"' in source, event


def test_glossary_terms_are_used() -> None:
    """A term that neither the code nor another page uses is not one of the project."""
    files = [
        file for folder in ("src/faas", "sql") for file in (ROOT / folder).rglob("*") if file.suffix in {".py", ".sql"}
    ]
    files += [page for page in PAGES if page.name != "glossary.md"]
    text = " ".join(file.read_text() for file in files).lower()
    text = re.sub(r"[\s_-]+(?:-- |# |\* )?", " ", text)
    rows = [cells for cells in table_cells(DOCS / "glossary.md") if cells[0] != "term"]
    assert len(rows) >= 35
    for term in [term for cells in rows for term in cells[0].split(", ")]:
        assert term.lower().replace("-", " ") in text, term
