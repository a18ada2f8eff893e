"""Patterns of function names: what they admit, and that bad ones are refused."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.errors import InvalidRequest
from faas.function_patterns import FunctionPatterns, parse_patterns

LETTERS = "ab_.-A"


@pytest.mark.parametrize(
    ("pattern", "admitted", "refused"),
    [
        ("orders", ["orders"], ["orders-1", "Orders", "order", "orders\n", ""]),
        ("orders-*", ["orders-", "orders-1", "orders-a.b_c"], ["orders", "my-orders-1", "Orders-1", "orders_1"]),
        ("*-test", ["a-test", "-test"], ["test", "a-test2", "a_test"]),
        ("a*b*c", ["abc", "a1b2c", "abbcc"], ["ac", "acb", "abcd"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("a_c", ["a_c"], ["abc", "a.c"]),
        ("a.c", ["a.c"], ["abc", "a_c"]),
        ("*", ["x", "Orders"], []),
    ],
)
def test_function_patterns_fit_whole_names(pattern: str, admitted: list[str], refused: list[str]) -> None:
    patterns = FunctionPatterns((pattern,))
    assert [name for name in admitted if not patterns.admits(name)] == []
    assert [name for name in refused if patterns.admits(name)] == []


@given(st.text(LETTERS + "*", min_size=1, max_size=8), st.text(LETTERS, min_size=1, max_size=10))
def test_function_patterns_fit_as_a_regular_expression_does(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
    assert FunctionPatterns((pattern,)).admits(name) is expected


def test_function_patterns_many_stars_take_no_time() -> None:
    began = time.perf_counter()
    assert not FunctionPatterns(("a*" * 31 + "b",)).admits("a" * 64)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("bad", ["", "a b", "ä", "a%", "a\\", "a?", "[a]", "a/b", "a\n", "x" * 65, "a@1"])
def test_parse_patterns_refuses_what_no_name_can_have(bad: str) -> None:
    with pytest.raises(InvalidRequest, match=r"functions: .*is not a pattern of names"):
        parse_patterns([bad], "functions")


def test_parse_patterns_refuses_none_and_too_many() -> None:
    with pytest.raises(InvalidRequest, match="0 patterns; accepted are 1 to 100"):
        parse_patterns([], "functions")
    with pytest.raises(InvalidRequest, match="101 patterns"):
        parse_patterns([f"f{number}" for number in range(101)], "functions")
    assert parse_patterns(["a", "b", "a"], "functions").patterns == ("a", "b")
