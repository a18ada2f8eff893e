"""Workflows, templates and documents for contributors: they parse, and what they name exists."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
YAML_FILES = sorted([*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"])
# What they say about commands and files is checked.
DOCUMENTS = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md")]
COMMANDS = [*DOCUMENTS, ROOT / "README.md", ROOT / ".github" / "pull_request_template.md", *WORKFLOWS]
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def code_of(path: Path) -> Iterator[str]:
    """The commands of a workflow's steps; the code blocks and code spans of a Markdown document."""
    if path.suffix == ".yml":
        for job in parsed(path)["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)
    else:
        yield from re.findall(r"^```.*?\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        yield from code_spans(path)


def code_spans(path: Path) -> list[str]:
    outside_blocks = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`]+)`", outside_blocks)


def make_targets(text: str) -> set[str]:
    """The targets of each `make [VARIABLE=value…] target` in `text`."""
    return set(re.findall(r"(?<![\w/.-])make (?:[A-Z_]+=\S+ )*([a-z][a-z-]*)", text))


def links(path: Path) -> list[str]:
    """The targets of the links that stay in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a Markdown document."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", YAML_FILES, ids=label)
def test_yaml_file_parses(path: Path) -> None:
    assert isinstance(parsed(path), dict)


@pytest.mark.parametrize("path", COMMANDS, ids=label)
def test_make_targets_that_a_file_names_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    existing = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, flags=re.MULTILINE))
    named = {target for code in code_of(path) for target in make_targets(code)}
    assert named - existing == set()
    assert named or path in DOCUMENTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=label)
def test_links_of_a_document_lead_to_files_and_headings(path: Path) -> None:
    found = links(path)
    assert found
    for target in found:
        name, _, anchor = target.partition("#")
        file = (path.parent / name) if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=label)
def test_paths_in_code_spans_exist(path: Path) -> None:
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    for span in code_spans(path):
        is_path = re.fullmatch(r"[\w.*-]+(/[\w.*-]+)+", span)
        if is_path and span.split("/")[0] not in ignored:
            assert list(ROOT.glob(span)), span


def test_workflow_matrix_has_the_python_versions_of_the_classifiers() -> None:
    versions = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(project()["classifiers"]))
    matrix = parsed(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert versions
    assert matrix["python"] == versions


@pytest.mark.parametrize("path", WORKFLOWS, ids=label)
def test_workflow_is_limited_in_rights_and_time(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60, name


def test_pre_commit_hooks_are_local() -> None:
    """A remote repository would bring versions of its own, beside the locked ones."""
    repositories = parsed(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    assert {hook["language"] for hook in repositories[0]["hooks"]} == {"system"}


def test_changelog_follows_keep_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    for heading in headings:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - (Unreleased|\d{4}-\d\d-\d\d)", heading), heading
    assert [heading for heading in headings[1:] if heading.endswith("Unreleased")] == []
    assert set(re.findall(r"^### (.*)$", text, flags=re.MULTILINE)) <= CHANGES
    assert any(heading.startswith(f"[{project()['version']}] ") for heading in headings)


def test_decisions_follow_the_template() -> None:
    folder = ROOT / "docs" / "decisions"
    sections = re.findall(r"^## .*$", (folder / "template.md").read_text(), flags=re.MULTILINE)
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert decisions
    for file in decisions:
        text = file.read_text()
        assert text.startswith(f"# {file.name[:4]}. "), file
        assert re.search(
            r"^- Date: \d{4}-\d\d-\d\d\n- Status: (proposed|accepted|superseded by)", text, re.MULTILINE
        ), file
        assert re.findall(r"^## .*$", text, flags=re.MULTILINE) == sections, file
