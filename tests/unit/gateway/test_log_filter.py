"""Which lines of a log are wanted."""

import time
from typing import Any

import pytest

from shoal_contract.events import LogWritten
from shoal_gateway.core.log_filter import LogFilter, PatternError


def piece(*lines: str, **changes: Any) -> LogWritten:
    body = {
        "experiment_id": "e", "trial_id": "e-0", "allocation_id": "a", "rank": 0,
        "stream": "stderr", "lines": list(lines), "sequence": 10, "at": 1.0,
    }  # fmt: skip
    return LogWritten(**body | changes)


def wanted(event: LogWritten, **how: Any) -> list[tuple[int, list[str]]]:
    return [(i["sequence"], i["lines"]) for i in LogFilter(**how).items(7, event)]


def test_everything_without_a_wish() -> None:
    item = LogFilter().items(7, piece("a", "b"))[0]
    assert (item["id"], item["lines"], item["rank"], item["trial_id"]) == (7, ["a", "b"], 0, "e-0")


def test_lines_that_match_keep_their_numbers() -> None:
    event = piece("loss 1", "x", "loss 2", "loss 3")
    assert wanted(event, search="loss") == [(10, ["loss 1"]), (12, ["loss 2", "loss 3"])]
    assert wanted(event, regex=r"loss [13]$") == [(10, ["loss 1"]), (13, ["loss 3"])]
    assert wanted(event, search="loss", regex="2") == [(12, ["loss 2"])]
    assert wanted(event, search=".") == []


def test_ranks_and_streams() -> None:
    assert wanted(piece("a", rank=1), rank=0) == []
    assert wanted(piece("a", rank=1), rank=1) == [(10, ["a"])]
    assert wanted(piece("a"), stream="stdout") == []


def test_a_line_without_a_level_has_that_of_the_line_before() -> None:
    how = LogFilter(level="warning")
    lines = ["INFO begin", "more", "2026-01-01 WARNING: hot", "  by 3 degrees", "DEBUG x"]
    assert [i["lines"] for i in how.items(1, piece("plain", *lines))] == [lines[2:4]]
    assert how.items(2, piece("still debug")) == []
    assert how.items(3, piece("Traceback (most recent call last):", "  File")) != []
    assert [i["lines"] for i in how.items(4, piece("ValueError: no"))] == [["ValueError: no"]]
    assert how.items(5, piece("another rank", rank=1)) == []
    assert LogFilter(level="error").items(6, piece("WARN x")) == []


def test_no_pattern_takes_for_ever() -> None:
    began = time.process_time()
    assert wanted(piece("a" * 50_000 + "!"), regex=r"^(a+)+$") == []
    assert time.process_time() - began < 5  # by back-tracking: longer than the universe lasts
    with pytest.raises(PatternError):
        LogFilter(regex="(")
