"""How deep JSON is nested, told without reading it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal_gateway.shell.bodies import MAX_DEPTH, depth

JSON = st.recursive(
    st.none() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(JSON)
def test_what_is_in_strings_does_not_count(value: Any) -> None:
    padded = {"x": ['{"', "[[[", '\\"[', value], "y": [[]] * MAX_DEPTH}
    assert depth(json.dumps(padded).encode()) == levels(padded)


@given(JSON, st.lists(st.text(alphabet="[]{}a,:' "), max_size=5))
def test_nor_where_no_quote_is_escaped(value: Any, texts: list[str]) -> None:
    padded = [texts, {"x": value}, [[]] * MAX_DEPTH, [{}] * 9, {t: [[{}], {}] for t in texts}]
    body = json.dumps(padded, ensure_ascii=False).encode(errors="replace")
    assert depth(body) == levels(padded)


@pytest.mark.parametrize(
    "body",
    [b"[" * 10_000, b'{"a":' * 10_000, b'"' + b"[" * 1000 + b'"' + b"[" * 101, b"[" * 5_000_000],
)
def test_deep_is_deep_whatever_follows(body: bytes) -> None:
    assert depth(body) > MAX_DEPTH


def test_wide_is_not_deep() -> None:
    assert depth(json.dumps([{"a": [1]}] * 10_000).encode()) == 3
