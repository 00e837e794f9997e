"""Lines in parts that fit into one event."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from shoal_worker.shell.logs import BATCH, CHARACTERS, LONGEST, batches


@given(st.lists(st.integers(0, LONGEST).map(lambda n: "x" * n), max_size=300))
def test_every_line_is_in_one_part_in_order(lines: list[str]) -> None:
    parts = list(batches(lines))
    assert list(chain.from_iterable(parts)) == lines
    assert all(0 < len(part) <= BATCH for part in parts)
    assert all(sum(map(len, part)) <= CHARACTERS for part in parts)


def test_a_line_without_end_is_cut() -> None:
    (line,) = next(batches(["x" * 2_000_000]))
    assert len(line) < LONGEST + 50
    assert line.endswith("(1995904 more characters)")
