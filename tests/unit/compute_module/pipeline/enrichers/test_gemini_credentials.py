"""The Gemini API key from variables and files."""

import json
from pathlib import Path

import pytest

from faas.compute_module.pipeline.enrichers.gemini_credentials import DEFAULT_SECRET_NAMES, read_gemini_key
from faas.compute_module.settings import GeminiVariables, load_settings
from faas.errors import ConfigurationError


def gemini_key(environ: dict[str, str]) -> str:
    return read_gemini_key(load_settings(GeminiVariables, environ=environ))


def sources(tmp_path: Path, content: object, **narrowed: str) -> dict[str, str]:
    path = tmp_path / "credentials.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return {"SOURCE_CREDENTIALS": str(path), **narrowed}


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        gemini_key(environ)
    message = str(caught.value)
    assert "\n" not in message
    assert "hush" not in message
    return message


def test_gemini_key_is_the_variable_or_the_file_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" hush-1\n")
    assert gemini_key({"GEMINI_API_KEY": " hush-0 ", "SOURCE_CREDENTIALS": "/nowhere"}) == "hush-0"
    assert gemini_key({"GEMINI_API_KEY": str(tmp_path / "key")}) == "hush-1"


@pytest.mark.parametrize("name", DEFAULT_SECRET_NAMES)
@pytest.mark.parametrize("prefix", ["", "additionalSecret"])
def test_gemini_key_is_found_under_the_default_secret_names(tmp_path: Path, prefix: str, name: str) -> None:
    content = {"Other": {"password": "x", "user": "y"}, "Gemini": {"extra": "no", prefix + name: "hush"}}
    assert gemini_key(sources(tmp_path, content)) == "hush"


def test_gemini_key_is_the_only_secret_under_any_name(tmp_path: Path) -> None:
    assert gemini_key(sources(tmp_path, {"Gemini": {"whatever": "hush"}})) == "hush"


@pytest.mark.parametrize(("name", "found"), [("a", "hush-a"), ("b", "hush-b")])
def test_gemini_key_is_narrowed_by_source_and_secret_name(tmp_path: Path, name: str, found: str) -> None:
    content = {"One": {"apiKey": "hush-1"}, "Two": {"apiKey": "x", "a": "hush-a", "additionalSecretb": "hush-b"}}
    narrowed = {"GEMINI_SOURCE_API_NAME": "Two", "GEMINI_SOURCE_SECRET_NAME": name}
    assert gemini_key(sources(tmp_path, content, **narrowed)) == found


def test_gemini_key_more_than_one_match_is_refused(tmp_path: Path) -> None:
    content = {"One": {"apiKey": "hush-1"}, "Two": {"apikey": "hush-2"}}
    assert "One/apiKey, Two/apikey" in refused(sources(tmp_path, content))
    assert gemini_key(sources(tmp_path, content, GEMINI_SOURCE_API_NAME="Two")) == "hush-2"
    assert "One/a, Two/b" in refused(sources(tmp_path, {"One": {"a": "hush"}, "Two": {"b": "hush"}}))


@pytest.mark.parametrize(
    ("content", "narrowed", "message"),
    [
        ({}, {}, "no secret that may be the key"),
        ({"One": {}}, {}, "no secret that may be the key"),
        ({"One": {"a": "hush", "b": "hush"}}, {}, "no secret that may be the key"),
        ({"One": {"apiKey": "hush"}}, {"GEMINI_SOURCE_SECRET_NAME": "other"}, "no secret that may be the key"),
        ({"One": {"apiKey": "hush"}}, {"GEMINI_SOURCE_API_NAME": "Two"}, "SOURCE_CREDENTIALS has only One"),
        ({"One": {"apiKey": "hush\nhush"}}, {}, "a secret is one word of printable ASCII characters"),
        ({"One": "hush"}, {}, "not JSON of the form"),
        ("{hush", {}, "not JSON of the form"),
    ],
)
def test_gemini_key_wrong_credentials_are_refused_in_one_line(
    tmp_path: Path, content: object, narrowed: dict[str, str], message: str
) -> None:
    assert message in refused(sources(tmp_path, content, **narrowed))


def test_gemini_key_missing_key_or_file_is_named(tmp_path: Path) -> None:
    assert "set GEMINI_API_KEY" in refused({})
    assert "No such file" in refused({"SOURCE_CREDENTIALS": str(tmp_path / "none")})
    assert "does not exist" in refused({"GEMINI_API_KEY": "/hush/none"})
    (tmp_path / "empty").write_text("\n")
    assert "one word" in refused({"GEMINI_API_KEY": str(tmp_path / "empty")})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refused({"GEMINI_API_KEY": str(tmp_path / "binary")})
