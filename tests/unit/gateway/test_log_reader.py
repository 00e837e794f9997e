"""The end of a log among many others: looked for further and further back, while there is time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shoal_gateway.shell.log_reader import WINDOW, last_lines, search_back


def piece(place: int, *lines: str) -> dict[str, Any]:
    return {"id": place, "sequence": 10 * place, "lines": list(lines)}


def reading(
    pieces: list[dict[str, Any]], farthest: int, asked: list[int]
) -> Callable[[int], Awaitable[list[dict[str, Any]]]]:
    """Reads that take too long when they begin before a place."""

    async def read(after: int) -> list[dict[str, Any]]:
        asked.append(after)
        if after < farthest:
            raise TimeoutError
        return [p for p in pieces if p["id"] > after]

    return read


END = 100 * WINDOW
LOG = [piece(5, "a"), piece(END - 5 * WINDOW, "b"), piece(END, "c", "d")]


@pytest.mark.parametrize(
    ("lines", "farthest", "found", "complete", "reads"),
    [
        (2, 0, ["c", "d"], True, 1),
        (3, 0, ["b", "c", "d"], True, 2),
        (4, 0, ["a", "b", "c", "d"], True, 4),
        (9, 0, ["a", "b", "c", "d"], True, 4),
        (4, 1, ["b", "c", "d"], False, 4),
        (4, END - 2 * WINDOW, ["c", "d"], False, 2),
        (2, END - 2 * WINDOW, ["c", "d"], True, 1),
    ],
)
async def test_what_is_found_in_time(
    lines: int, farthest: int, found: list[str], complete: bool, reads: int
) -> None:
    asked: list[int] = []
    items, whole = await search_back(reading(LOG, farthest, asked), END, lines)
    assert [line for item in items for line in item["lines"]] == found
    assert (whole, len(asked)) == (complete, reads)


async def test_an_end_that_is_not_found_in_time_is_no_answer() -> None:
    with pytest.raises(TimeoutError):
        await search_back(reading(LOG, END, []), END, 1)


def test_the_last_lines_of_pieces() -> None:
    pieces = [piece(1, "a", "b"), piece(2, "c", "d", "e")]
    assert last_lines(pieces, 4) == [piece(1, "b") | {"sequence": 11}, pieces[1]]
    assert last_lines(pieces, 1) == [piece(2, "e") | {"sequence": 22}]
    assert last_lines(pieces, 9) == pieces
