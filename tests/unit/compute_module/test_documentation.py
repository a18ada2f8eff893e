"""The pages of docs/compute-module are what the code does."""

import re
from pathlib import Path

import msgspec
import pytest

from faas.compute_module.foundry import http_client, keep_alive
from faas.compute_module.mock_foundry.app import MockFoundry
from faas.compute_module.pipeline import retry_after, retry_policy
from faas.compute_module.pipeline.enrichers import gemini_answers
from faas.compute_module.pipeline.rows import COLUMNS
from faas.compute_module.settings import (
    FaasVariables,
    FoundryRunSettings,
    FoundryVariables,
    GeminiVariables,
    MockFoundrySettings,
    RunSettings,
    Setting,
    settings_of,
)

FOLDER = Path(__file__).parents[3] / "docs" / "compute-module"
REFERENCE = (FOLDER / "reference.md").read_text()
STRUCTS = (RunSettings, FoundryRunSettings, FoundryVariables, FaasVariables, GeminiVariables, MockFoundrySettings)


def section(title: str) -> str:
    return re.split(r"^## ", REFERENCE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def row_of(setting: Setting, *, variables: bool) -> str:
    cells = [code(setting.variable)] if variables else []
    if setting.has_option:
        cells += [code(setting.option), code(setting.shown_default)]
    return f"| {' | '.join([*cells, setting.description])} |"


@pytest.mark.parametrize("struct", STRUCTS)
def test_reference_has_a_row_for_each_setting(struct: type[msgspec.Struct]) -> None:
    settings = settings_of(struct)
    variables = any(setting.variable for setting in settings)
    assert "\n".join(row_of(setting, variables=variables) for setting in settings) + "\n\n" in REFERENCE


def test_reference_has_no_other_settings() -> None:
    shown = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", REFERENCE, flags=re.MULTILINE))
    assert shown == {setting.variable for struct in STRUCTS for setting in settings_of(struct) if setting.variable}


def test_reference_has_every_endpoint_of_the_mock_foundry(tmp_path: Path) -> None:
    shown = re.findall(r"^\| ([A-Z]+) \| `(/\S+)` \|", section("The mock Foundry"), flags=re.MULTILINE)
    router = MockFoundry(uploads=tmp_path)._router
    routes = {(route.method, "/" + "/".join(route.pattern)) for route in router._routes}
    also_under_the_stream_proxy = {route for route in routes if route[1].startswith("/stream-proxy/api/v2/")}
    assert set(shown) == routes - also_under_the_stream_proxy
    assert len(shown) == len(set(shown))


def test_reference_has_the_numbers_of_the_retries() -> None:
    retries = section("Retries")
    pauses = http_client.RETRY_PAUSES_SECONDS
    assert f"{len(pauses) + 1} attempts of {http_client.TIMEOUT_SECONDS:g} s" in retries
    assert ", ".join(f"{pause:g}" for pause in pauses) + " s" in retries
    assert f"{retry_policy.FIRST_BACKOFF_SECONDS:g} s doubling to {retry_policy.MAX_BACKOFF_SECONDS:g} s" in retries
    assert f"±{retry_policy.JITTER_FRACTION * 100:g} %" in retries
    assert f"{keep_alive.FIRST_BACKOFF_SECONDS:g} s doubling to {keep_alive.MAX_BACKOFF_SECONDS:g} s" in retries
    assert f"everything but 2xx, {keep_alive.RESULT_RETRIES} times" in retries
    assert f"up to {retry_after.MAX_RETRY_AFTER_SECONDS:g} seconds" in retries
    assert f"last {retry_after.MAX_RETRY_AFTER_SECONDS:g} seconds" in " ".join(retries.split())
    assert f"at most {retry_policy.MAX_UNCOUNTED_WAIT_SECONDS / 60:g} minutes" in retries


def test_reference_has_the_reasons_of_refusals() -> None:
    line = next(line for line in section("Answers of Gemini").splitlines() if "`SAFETY`" in line)
    shown = set(re.findall(r"`([A-Z_]+)`", line))
    assert gemini_answers.REFUSALS - shown <= {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"}  # the answer has no image


def test_reference_has_the_output_columns() -> None:
    assert ",".join(COLUMNS) in REFERENCE


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_links_of_the_compute_module_pages_lead_to_files(page: Path) -> None:
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in target]
    assert targets
    for target in targets:
        assert (page.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_compute_module_pages_are_wrapped_at_100_characters(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if len(line) > 100 and not line.startswith("|")] == []
