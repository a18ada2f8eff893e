"""Tests of the input files of the commands: encodings, and the places that errors name."""

import codecs
from pathlib import Path

import pytest

from faas.cli.sources import function_name_of, language_of, read_input, read_source
from faas.errors import ConfigurationError
from faas.json_documents import DEPTH_LIMIT

TEXT = '{"é": "😀"}'
MARKED = [
    codecs.BOM_UTF8 + TEXT.encode(),
    TEXT.encode("utf-16"),
    codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    TEXT.encode("utf-32"),
    codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
]


def refusal(source: str) -> str:
    """Return why `read_input` refuses `source`."""
    with pytest.raises(ConfigurationError) as caught:
        read_input(source)
    return str(caught.value)


@pytest.mark.parametrize("content", MARKED)
def test_byte_order_mark_is_accepted_in_inputs_and_sources(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "marked"
    file.write_bytes(content)
    assert read_input(f"@{file}") == TEXT.encode()
    assert read_source(file, "wat") == TEXT
    assert read_input("\ufeff" + TEXT) == TEXT.encode()


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ('{"a": NaN}', "line 1, column 7: JSON is malformed: invalid character in NaN"),
        ('\n\n  {"é": Infinity}', "line 3, column 9: JSON is malformed: invalid character in Infinity"),
        ('{\r\n"😀": -Infinity}', "line 2, column 6: JSON is malformed: invalid character in -Infinity"),
        ('{\r"a": 1,\r}', "line 3, column 1: JSON is malformed: trailing comma in object"),
        ('{"a": 1} x', "line 1, column 10: JSON is malformed: trailing characters"),
        ('{"a": 1', "line 1, column 8: JSON is malformed: it ends too early"),
        ('{"a": "\\ud800"}', "line 1, column 8: unpaired surrogate escape \\ud800"),
        ('{"a":' * DEPTH_LIMIT, "line 1, column 2496: nested deeper than 499 levels"),
        ("[1]", "is an array; accepted is a JSON object, or null for {}"),
        ('"x"', "is a string; accepted is a JSON object, or null for {}"),
        ("-1", "is a number; accepted is a JSON object, or null for {}"),
    ],
)
def test_input_error_place_is_in_the_text_of_the_user(document: str, place: str, tmp_path: Path) -> None:
    assert refusal(document) == f"--input: {place}"
    file = tmp_path / "input.json"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        file.write_bytes(document.encode(encoding))
        assert refusal(f"@{file}") == f"--input @{file}: {place}"


def test_input_error_place_of_an_invalid_encoding_is_the_byte_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    for content, reason in (
        (b'{"a":"\xff"}', "invalid UTF-8 at byte 6"),
        (codecs.BOM_UTF8 + b'{"a":"\xff"}', "invalid UTF-8 at byte 9"),
        (codecs.BOM_UTF16_LE + "{".encode("utf-16-le") + b"\x00\xdc", "invalid UTF-16 at byte 4"),
        (TEXT.encode("utf-32")[:-1], f"invalid UTF-32 at byte {4 * len(TEXT)}"),
    ):
        file.write_bytes(content)
        assert refusal(f"@{file}") == f"--input @{file}: {reason}"
        with pytest.raises(ConfigurationError) as caught:
            read_source(file, "wat")
        assert str(caught.value) == f"{file}: {reason}"


def test_input_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(f"@{tmp_path}") == f"--input @{tmp_path}: Is a directory"
    assert refusal(f"@{tmp_path}/nowhere") == f"--input @{tmp_path}/nowhere: No such file or directory"
    assert refusal("@") == "--input @: Is a directory"


def test_input_that_is_empty_or_null_means_an_empty_object(tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    for content in (b"", b" \r\n", codecs.BOM_UTF8, b" null\n"):
        file.write_bytes(content)
        assert read_input(f"@{file}") == b"{}"


def test_source_keeps_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines.ts"
    file.write_bytes(b"a\r\nb\n")
    assert read_source(file, "assemblyscript") == "a\r\nb\n"
    file.write_bytes(b"a\rb\r\rc")  # the compilers count only the lines that end with a line feed
    assert read_source(file, "assemblyscript") == "a\nb\n\nc"


@pytest.mark.parametrize(
    ("file", "language", "name"),
    [
        ("hello.js", "javascript", "hello"),
        ("hello.mjs", "javascript", "hello"),
        ("hello.cjs", "javascript", "hello"),
        ("hello.ts", "typescript", "hello"),
        ("hello.mts", "typescript", "hello"),
        ("hello.as.ts", "assemblyscript", "hello"),
        ("hello.as", "assemblyscript", "hello"),
        ("my.hello.ts", "typescript", "my.hello"),
        ("echo.wat", "wat", "echo"),
        ("echo.wasm", "wasm", "echo"),
    ],
)
def test_language_and_name_follow_from_the_whole_extension(file: str, language: str, name: str) -> None:
    assert language_of(Path("folder.js", file)) == language
    assert function_name_of(Path("folder.js", file)) == name


def test_language_of_an_unknown_extension_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot infer the language from '\.rs'; pass --language"):
        language_of(Path("hello.rs"))
    assert function_name_of(Path("hello.rs")) == "hello"
