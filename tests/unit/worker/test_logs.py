"""Lines in parts that fit into one event, whole, and not too many."""

from itertools import chain
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shoal_worker.shell.logs import (
    BATCH,
    BURST,
    CHARACTERS,
    CHUNK,
    LONGEST,
    Allowance,
    Rates,
    batches,
    whole,
)


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


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1)), max_size=30))
def test_nothing_is_lost_below_the_rates_however_late_it_is_read(
    pauses: list[tuple[float, float]],
) -> None:
    allowance, now = Allowance(Rates(lines=10, bytes=1000), 0.0), 0.0
    for pause, share in pauses:
        now += pause
        allowance.refill(now)
        lines = [100] * int(10 * pause * share)
        assert allowance.passing(lines) == len(lines)


def test_above_the_rates_a_burst_and_then_the_rate_passes() -> None:
    allowance = Allowance(Rates(lines=10, bytes=1e9), 0.0)
    assert allowance.passing([1] * 1000) == 10 * BURST
    allowance.refill(2.0)
    assert allowance.passing([1] * 1000) == 20
    allowance = Allowance(Rates(lines=1e9, bytes=10), 0.0)
    assert allowance.passing([25] * 1000) == 4


def test_lines_come_whole(tmp_path: Path) -> None:
    file = tmp_path / "x"
    assert whole(file, 0, True) == b""
    file.write_bytes(b"one\ntwo")
    assert whole(file, 0, False) == b"one\n"
    assert whole(file, 4, False) == b""
    assert whole(file, 4, True) == b"two"
    file.write_bytes(b" 1 %\r 2 %\r 3")
    assert whole(file, 0, False) == b" 1 %\r 2 %\r"
    file.write_bytes(b"one\ntwo\r")  # the end of that line may be \r\n
    assert whole(file, 0, False) == b"one\n"
    file.write_bytes(b"x" * (CHUNK + 5))
    assert len(whole(file, 0, False)) == CHUNK
    assert whole(file, CHUNK, False) == b""
    assert whole(file, CHUNK, True) == b"x" * 5
