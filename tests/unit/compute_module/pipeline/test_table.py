"""Reading and writing of tables, valid and invalid ones."""

import csv
import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.compute_module.errors import InvalidTable
from faas.compute_module.pipeline.rows import COLUMNS, Row
from faas.compute_module.pipeline.table import read_emails, read_rows, write_rows

TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['"', "\r", "\n", "\r\n", ",", " ", "'", "\0"]
)
ROWS = st.lists(st.builds(Row, *[TEXT] * len(COLUMNS)), max_size=8)


def emails(tmp_path: Path, content: bytes, *, json_lines: bool = False) -> list[str]:
    path = tmp_path / "in"
    path.write_bytes(content)
    return list(read_emails(path, "in.csv", json_lines=json_lines))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"email\na@x.io\nb@x.io\n", ["a@x.io", "b@x.io"]),
        (b"\xef\xbb\xbfemail\na@x.io", ["a@x.io"]),
        (b"id, EMail ,email\r\n1, a@x.io ,no\r\n", ["a@x.io"]),
        (b"email\n\n\na@x.io\n\n", ["a@x.io"]),
        (b"\n  \nemail\n  \na@x.io\n", ["", "a@x.io"]),
        (b"id,email\n1,\n   \n2,b@x.io\n", ["", "b@x.io"]),
        (b'email\n""\n', [""]),
        (b'email,note\n"a@x.io","two\nlines, and ""quotes"""\n', ["a@x.io"]),
        (b"email\ra@x.io\r", ["a@x.io"]),
        ("email\nA@x.io\na@x.io\nnicht-eine-adresse ü\n".encode(), ["A@x.io", "a@x.io", "nicht-eine-adresse ü"]),
        (b"email\n", []),
    ],
)
def test_read_emails_finds_the_email_column(tmp_path: Path, content: bytes, expected: list[str]) -> None:
    assert emails(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "in.csv: empty; a header with a column named email is needed"),
        (b"\n\n", "in.csv: empty; a header with a column named email is needed"),
        (b"id,mail\n1,a\n", "in.csv: no column is named email; the columns are: id, mail"),
        (b"id,email\n1,a@x.io\n2\n", "in.csv: line 3 has 1 fields where the header has 2"),
        (b"id,email\n1,a@x.io,more\n", "in.csv: line 2 has 3 fields where the header has 2"),
        (
            b'email\n"a@x.io\nb@x.io\n',
            "in.csv: line 3 is not CSV: unexpected end of data, in the record that begins in line 2",
        ),
        (b'email,b\n"a"x,1\n', "in.csv: line 2 is not CSV: ',' expected after '\"'"),
        (b"<html><body>Sign in a@x.io</body></html>", "in.csv: no column is named email; the columns are: <html>"),
    ],
)
def test_read_emails_invalid_csv_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        emails(tmp_path, content)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert "a@x.io" not in str(caught.value)


def test_read_emails_reads_json_lines(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbf{"Email": " a@x.io "}\n\n{"email": null}\n{"id": 3}\n\xef\xbb\xbf\n\xef\xbb\xbf{"email":"b"}\r\n'
    )
    assert emails(tmp_path, content, json_lines=True) == ["a@x.io", "", "", "b"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['{"name": "x"}', '{"email": "a@x.io"}'], ["", "a@x.io"]),
        (["{}", '{"email": "a@x.io"}'], ["", "a@x.io"]),
        (['{"EMAIL": "a@x.io"}', '{" Email ": "b@x.io", "id": 1}', '{"id": 2}'], ["a@x.io", "b@x.io", ""]),
        (['{"email": null}', '{"Email": "a@x.io", "email": null}'], ["", "a@x.io"]),
        (['{"email": " ", "Email": "a@x.io"}', '{"mail": "b@x.io"}'], ["a@x.io", ""]),
    ],
)
def test_read_emails_order_of_json_lines_does_not_decide(tmp_path: Path, lines: list[str], expected: list[str]) -> None:
    for order in itertools.permutations(range(len(lines))):
        content = "\n".join(lines[number] for number in order).encode()
        assert emails(tmp_path, content, json_lines=True) == [expected[number] for number in order]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[1]", '{"email": "a@x.io"}'], "line {} is not a JSON object"),
        (["null", '{"email": "a@x.io"}', "{}"], "line {} is not a JSON object"),
        (['"email"', '{"email": "a@x.io"}'], "line {} is not a JSON object"),
        (['{"Email": 5, "email": "b@x.io"}', '{"email": "a@x.io"}'], "line {}: the value of email is not text"),
        (['{"email": "b@x.io", "Email": 5}', '{"email": "a@x.io"}'], "line {}: the value of email is not text"),
    ],
)
def test_read_emails_refused_json_line_is_refused_at_any_place(tmp_path: Path, lines: list[str], message: str) -> None:
    for order in itertools.permutations(range(len(lines))):
        content = "\n".join(lines[number] for number in order).encode()
        with pytest.raises(InvalidTable) as caught:
            emails(tmp_path, content, json_lines=True)
        assert str(caught.value) == f"in.csv: {message.format(order.index(0) + 1)}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{"mail": 1, "id": 2}\n{"id": 3, "name": "x"}\n{}\n',
            "in.csv: no column is named email; the columns are: mail, id, name",
        ),
        (b"{}\n", "in.csv: no column is named email; the columns are: (none)"),
        (b"", "in.csv: empty; lines with an email field are needed"),
        (b'{"mail": 1}\n', "in.csv: no column is named email; the columns are: mail"),
        (b'{"email": "a"}\n{"email"\n', "in.csv: line 2 is not JSON"),
        (b"[1]\n", "in.csv: line 1 is not a JSON object"),
        (b'{"email": 5}\n', "in.csv: line 1: the value of email is not text"),
        (b"[" * 100_000, "in.csv: line 1 is not JSON"),
    ],
)
def test_read_emails_invalid_json_lines_are_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        emails(tmp_path, content, json_lines=True)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"email\na@x.io\n\xff\xfe\n", "in.csv: not UTF-8 text in line 3, column 1: byte 0xff"),
        (b"email,n\na@x.io,\xe9\n", "in.csv: not UTF-8 text in line 2, column 8: byte 0xe9"),
        (b"\xef\xbb\xbfe\xc3\xa9\xfc,email\n", "in.csv: not UTF-8 text in line 1, column 3: byte 0xfc"),
        (b'email\n"a@x.io\r\n\n\xff"\n', "in.csv: not UTF-8 text in line 4, column 1: byte 0xff"),
        (b"email\r" + b"a@x.io\r" * 5000 + b"\xc3\r", "in.csv: not UTF-8 text in line 5002, column 1: byte 0xc3"),
        ("email\na@x.io\n".encode("utf-16"), "in.csv: not UTF-8 text in line 1, column 1: byte 0xff"),
        (b'email,n\n\n"a@x.io\nb",1,2\n', "in.csv: line 3 has 3 fields where the header has 2"),
        (
            b'email,n\n"a@x.io\n\nb"x,1\n',
            "in.csv: line 4 is not CSV: ',' expected after '\"', in the record that begins in line 2",
        ),
        (b'email,n\n1,"2\n3"\na@x.io\n', "in.csv: line 4 has 1 fields where the header has 2"),
    ],
)
def test_read_emails_error_in_csv_names_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        emails(tmp_path, content)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"email": "\xff"}\n', "in.csv: not UTF-8 text in line 1, column 12: byte 0xff"),
        (b'{"email": "a"}\r\n\n  {"n": "\xc3\xa9\xff"}', "in.csv: not UTF-8 text in line 3, column 11: byte 0xff"),
        (b'\xef\xbb\xbf{"\xfc": 1}', "in.csv: not UTF-8 text in line 1, column 3: byte 0xfc"),
        (b'{"email": "a"}\n\n\n{"email": "\\ud800"}', "in.csv: line 4 is not JSON"),
    ],
)
def test_read_emails_error_in_json_lines_names_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        emails(tmp_path, content, json_lines=True)
    assert str(caught.value) == message


def test_write_rows_writes_the_columns_with_minimal_quoting(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert write_rows(path, [Row(email="a@x.io", company="X, Inc.", status="ok", sources='["u"]')]) == 1
    assert path.read_bytes() == (
        b"email,linkedin_url,company,title,description,confidence,status,error,model,sources,web_search_queries\n"
        b'a@x.io,,"X, Inc.",,,,ok,,,"[""u""]",\n'
    )


def test_write_rows_json_lines_have_the_same_fields(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_rows(path, [Row(email="a@x.io", status="ok")], json_lines=True)
    record = msgspec.json.decode(path.read_bytes())
    assert list(record) == list(COLUMNS)
    assert record["email"] == "a@x.io"
    assert record["company"] == ""


def test_read_rows_finds_columns_by_name(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    reordered = ["extra", *reversed(COLUMNS)]
    path.write_text(",".join(reordered) + "\n" + ",".join(f"<{name}>" for name in reordered) + "\n")
    assert list(read_rows(path, "out")) == [Row(*[f"<{name}>" for name in COLUMNS])]


@pytest.mark.parametrize("column", COLUMNS)
def test_read_rows_missing_column_is_refused(tmp_path: Path, column: str) -> None:
    path = tmp_path / "out.csv"
    path.write_text(",".join(name for name in COLUMNS if name != column) + "\n")
    with pytest.raises(InvalidTable, match=f"the columns {column} are missing"):
        list(read_rows(path, "out"))


@given(rows=ROWS)
def test_write_rows_and_read_rows_are_inverse(tmp_path: Path, rows: list[Row]) -> None:
    path = tmp_path / "round-trip.csv"
    write_rows(path, rows)
    assert list(read_rows(path, "round-trip")) == rows
    with path.open(newline="", encoding="utf-8") as file:  # and the standard library agrees
        assert [tuple(line) for line in csv.reader(file, strict=True)][1:] == [
            msgspec.structs.astuple(row) for row in rows
        ]


@given(content=st.binary(max_size=200))
def test_read_emails_any_bytes_are_read_or_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    for json_lines in (False, True):
        message = ""
        try:
            emails(tmp_path, content, json_lines=json_lines)
        except InvalidTable as error:
            message = str(error)
        assert "\n" not in message
