"""The licence texts that travel with dist/faas."""

import re

from tests.smoke.process import ROOT


def test_notices_have_a_licence_text_for_each_part_of_the_file() -> None:
    page = (ROOT / "dist" / "THIRD-PARTY-NOTICES.md").read_text()
    tables, _, texts = page.partition("\n## Licence texts\n")
    parts = re.findall(r"^\| (?!name )(\S.*?) \| (\S.*?) \|", tables, flags=re.MULTILINE)
    assert len(parts) > 50
    for name, version in parts:
        assert f"\n- {name} {version}: " in texts, name
    assert "of the build machine" not in tables
    assert (ROOT / "build" / "bundle" / "THIRD-PARTY-NOTICES.md").read_text() == page
