"""Pages of lists. A cursor says after which place a list goes on, and not after which item: so what
was changed or removed meanwhile makes no other item come twice, or not at all. Pure."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Place = tuple[Any, ...]
"""Where an item stands among the others of a list: what it is sorted by, then its id."""
FARTHEST = 2.0**60
"""No place of a list is at a greater number."""


class CursorError(ValueError):
    """A cursor is none that a page of this list had."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list."""

    items: list[T]
    next: Place | None
    """The place of its last item, if others follow."""


def encode(order: str, place: Place) -> str:
    """The cursor that goes on after a place of a list in some order."""
    text = json.dumps([order, *place], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(order: str, cursor: str) -> Place:
    """The place that a cursor means. Raises CursorError, also if it is of another order."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = json.loads(text)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise CursorError(cursor) from error
    if not isinstance(found, list) or found[:1] != [order]:
        raise CursorError(cursor)
    return tuple(found[1:])


def pair(place: Place, kind: type[T]) -> tuple[float, T]:
    """A place that is a number and one thing more. Raises CursorError if it is none."""
    match place:
        case (int() | float() as number, rest) if isinstance(rest, kind) and abs(number) < FARTHEST:
            return float(number), rest
    raise CursorError(str(place))


def page(
    items: Iterable[T],
    place: Callable[[T], Place],
    after: Place | None,
    limit: int | None,
    *,
    descending: bool = False,
) -> Page[T]:
    """The first items after a place, in the order of their places; `limit` None: all of them.

    Raises CursorError for a place that is none of this list.
    """
    try:
        placed = [(place(item), item) for item in items]
        if after is not None:
            placed = [
                pair for pair in placed if (pair[0] < after if descending else pair[0] > after)
            ]
    except TypeError as error:
        raise CursorError(str(after)) from error
    placed.sort(key=lambda pair: pair[0], reverse=descending)
    return cut(placed, limit)


def cut(placed: list[tuple[Place, T]], limit: int | None) -> Page[T]:
    """The first items of those that are in order, each with its place."""
    chosen = placed if limit is None else placed[:limit]
    following = chosen[-1][0] if len(chosen) < len(placed) else None
    return Page([item for _, item in chosen], following)
