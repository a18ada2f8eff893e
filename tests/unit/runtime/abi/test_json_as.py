"""The spelling of documents for json-as: the same values, without what it reads wrong; and its output's repair."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.runtime.abi.json_as import normalize, with_null_for_not_finite

_CHARACTERS = 'ab"\\[]{}:,/ \n\r\t\b\f\x00\x1f\x7fé€\u2028😀'
_texts = st.text(alphabet=st.sampled_from(_CHARACTERS))
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner) | st.dictionaries(_texts, inner),
    max_leaves=20,
)
_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def exact(document: str) -> Any:
    """Return the value of `document`, with numbers as they are written."""
    return json.loads(document, parse_int=Decimal, parse_float=Decimal)


@given(_values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_normalize_keeps_the_value(value: Any, escaped: bool, indent: int | str | None) -> None:
    document = json.dumps(value, ensure_ascii=escaped, indent=indent)
    assert exact(normalize(document.encode())) == exact(document)


@given(_values, st.booleans())
def test_normalize_leaves_none_of_the_spellings_that_json_as_reads_wrong(value: Any, escaped: bool) -> None:
    written = normalize(json.dumps(value, ensure_ascii=escaped, indent=2).encode())
    strings, rest = re.findall(r'"[^"]*"', written), re.sub(r'"[^"]*"', "", written)
    assert not re.search(r"\\[\\\"/]", written)
    assert not any(re.search(r"\\u(?!005c|0022|00[01]|d[89a-f])", string) for string in strings)
    assert not re.search(r"\d\.0+(?!\d)", rest)


@given(_values)
def test_normalize_of_a_normal_document_is_the_same_document(value: Any) -> None:
    once = normalize(json.dumps(value).encode())
    assert normalize(once.encode()) == once


@given(_numbers)
def test_normalize_keeps_every_number(number: str) -> None:
    written = normalize(f"[{number},{number}]".encode())
    assert exact(written) == [Decimal(number)] * 2
    assert float(Decimal(number)) == float(json.loads(written)[0])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"dirs":["C:\\\\"],"n":1}', '{"dirs":["C:\\u005c"],"n":1}'),
        ('["a\\"b"]', '["a\\u0022b"]'),
        ('[["a["],["}"]]', '[["a["],["}"]]'),
        ('{"na\\u006de":"\\u0041\\u00E9\\ud83d\\ude00"}', '{"name":"Aé😀"}'),
        ('{"a\\u0022b\\u005C":"\\u0000\\n"}', '{"a\\u0022b\\u005c":"\\u0000\\n"}'),
        ('"\\\\u0041"', '"\\u005cu0041"'),
        ('"\\/\\\\/"', '"/\\u005c/"'),
        ("[1.0, -2.50, 1e2, 12E+3, 1.5e1, 100e-2, 1.5, 1e-2]", "[1, -2.50, 100, 12000, 15, 1, 1.5, 1e-2]"),
        ("[0.0, -0.0, 0e5, -0e-5, 1e400, 1e19, 1e25]", "[0, -0, 0, -0, 1e400, 10000000000000000000, 1e25]"),
        (' { "a b" :\t[ ] }\r\n', '{ "a b" :\t[ ] }'),
        ('["1.0 2e1 \\u007b", 3.0]', '["1.0 2e1 {", 3]'),
        ('{"\\ud800":"\\udc00x"}', '{"\\ud800":"\\udc00x"}'),
        ("5", "5"),
        ('""', '""'),
    ],
)
def test_normalize_writes(document: str, expected: str) -> None:
    assert normalize(document.encode()) == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("NaN", "null"),
        ('{"a":NaN,"b":[Infinity,-Infinity],"NaN":1}', '{"a":null,"b":[null,null],"NaN":1}'),
        ('{"s":"NaN \\" -Infinity","n":NaN}', '{"s":"NaN \\" -Infinity","n":null}'),
        ('["\\\\",NaN]', '["\\\\",null]'),
        ('"Infinity"', '"Infinity"'),
        ('NaN"', 'null"'),
        ("NaNa", "NaNa"),
    ],
)
def test_with_null_for_not_finite_writes_null(output: str, expected: str) -> None:
    assert with_null_for_not_finite(output) == expected


@given(st.text(alphabet='"\\NaNInfinity-[],:'))
def test_with_null_for_not_finite_accepts_any_output(output: str) -> None:
    assert isinstance(with_null_for_not_finite(output), str)


@given(_values)
def test_with_null_for_not_finite_keeps_json(value: Any) -> None:
    document = json.dumps([value, "NaN", "-Infinity"])
    assert with_null_for_not_finite(document) == document


@pytest.mark.parametrize("digits", ["1" * (6 << 20), "0." + "1" * (6 << 20), "-" + "1" * (6 << 20)])
def test_normalize_takes_linear_time_for_a_long_number(digits: str) -> None:
    """A quadratic search would take days, with the GIL held."""
    assert normalize(f"[1e1,{digits}]".encode()) == f"[10,{digits}]"


@pytest.mark.parametrize("number", ["1e1000000000000000000", "1e-99999999999999999999999", "0e99999999999999999999999"])
def test_normalize_keeps_an_exponent_that_decimal_does_not_take(number: str) -> None:
    assert normalize(f"[{number}]".encode()) == f"[{number}]"


def test_null_for_not_finite_takes_linear_time_for_a_string_without_end() -> None:
    quotes = '\\"' * (1 << 20)
    assert with_null_for_not_finite(f'[NaN,"{quotes}') == f'[null,"{quotes}'
