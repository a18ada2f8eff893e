"""The links of the documentation site: those into the repository are replaced, the others stay."""

import pytest

from tools.site.hooks import rewrite_links


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[settings](../reference/settings.md)", "[settings](../reference/settings.md)"),
        ("[a](operate.md#health-checks)", "[a](operate.md#health-checks)"),
        ("[pgmq](https://github.com/pgmq/pgmq)", "[pgmq](https://github.com/pgmq/pgmq)"),
        ("![demo](../../README.png)", "![demo](../../README.png)"),
        ("[SECURITY.md](../../SECURITY.md)", "`SECURITY.md`"),
        ("[`errors.py`](../../src/faas/errors.py)", "`src/faas/errors.py`"),
        ("[server/limits.py](../../src/faas/server/limits.py)", "`src/faas/server/limits.py`"),
        ("[the unit](../../packaging/faas.service)", "the unit (`packaging/faas.service`)"),
    ],
)
def test_site_links_into_the_repository_become_paths(written: str, shown: str) -> None:
    assert rewrite_links(f"See {written}.", "how-to/deploy.md", None) == f"See {shown}."


def test_site_links_into_the_repository_become_addresses_of_a_known_repository() -> None:
    written = "[image](../packaging/README.md#image)"
    shown = "[image](https://example.org/faas/blob/main/packaging/README.md#image)"
    assert rewrite_links(written, "index.md", "https://example.org/faas/") == shown
