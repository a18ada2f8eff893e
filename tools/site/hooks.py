"""Hooks of the documentation site (mkdocs.yml): links into the repository, and mermaid."""

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

MERMAID = Path(__file__).parent / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add mermaid to the site, because the theme would have each reader's browser load it from another host."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "javascripts/mermaid.js", abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", **_: object) -> str:
    """Replace links to files outside docs/, which are not part of the site."""
    return rewrite_links(markdown, page.file.src_uri, config.repo_url)


def rewrite_links(markdown: str, page: str, repo_url: str | None) -> str:
    """Replace links of `page` (its path below docs/) to files outside docs/: by an address below `repo_url` if there
    is one, else by the text of the link and the path in the repository.
    """

    def replaced(match: re.Match[str]) -> str:
        image, text, target, anchor = match.groups()
        if image or re.match(r"[a-z]+:", target):
            return match[0]
        path = os.path.normpath(PurePosixPath("docs", page).parent / target)
        if path.startswith("docs/"):
            return match[0]
        if repo_url:
            return f"[{text}]({repo_url.rstrip('/')}/blob/main/{path}{anchor or ''})"
        return f"`{path}`" if path.endswith(text.strip("`")) else f"{text} (`{path}`)"

    return _LINK.sub(replaced, markdown)
