"""Pages of lists, whatever becomes of their items meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal_gateway.core import paging
from shoal_gateway.core.listing import place
from shoal_gateway.core.paging import CursorError

VALUES = st.one_of(st.none(), st.sampled_from(["a", "B", "ä", "a"]))


def walk(rows: dict[str, str | None], limit: int, gone: set[str], *, descending: bool) -> list[str]:
    """All ids, page by page; what is `gone` leaves once it was shown."""
    seen: list[str] = []
    cursor = None
    while True:
        after = None if cursor is None else paging.decode("name", cursor)
        found = paging.page(
            rows.items(),
            lambda row: place(row[1], row[0], descending=descending),
            after,
            limit,
            descending=descending,
        )
        seen += [name for name, _ in found.items]
        for name, _ in found.items:
            if name in gone:
                del rows[name]
        if found.next is None:
            return seen
        cursor = paging.encode("name", found.next)


@given(st.lists(VALUES, max_size=12), st.integers(1, 5), st.booleans(), st.sets(st.integers(0, 11)))
def test_nothing_is_skipped_or_repeated(
    values: list[str | None], limit: int, descending: bool, gone: set[int]
) -> None:
    rows = {f"e{n:02}": value for n, value in enumerate(values)}
    whole = walk(dict(rows), 100, set(), descending=descending)
    assert sorted(whole) == sorted(rows)
    missing = [name for name in whole if rows[name] is None]
    assert whole[len(whole) - len(missing) :] == missing  # they come last in both directions
    left = {f"e{n:02}" for n in gone}
    assert walk(dict(rows), limit, left, descending=descending) == whole


@pytest.mark.parametrize(
    "cursor", ["", "x", "ü", "e30", "W1sx", paging.encode("other", ("a", "b"))]
)
def test_a_cursor_of_another_list_is_none(cursor: str) -> None:
    with pytest.raises(CursorError):
        paging.decode("name", cursor)


@pytest.mark.parametrize("at", [(), (1,), ("a", "b"), (1, 2), (float("nan"), "b"), (2.0**70, "b")])
def test_a_place_that_is_no_pair_is_none(at: tuple[object, ...]) -> None:
    with pytest.raises(CursorError):
        paging.pair(at, str)


def test_a_place_of_another_kind_is_none() -> None:
    with pytest.raises(CursorError):
        paging.page(["a", "b"], lambda row: (row,), (1,), 1)
