"""The parameters `limit` and `cursor` of every list, and the answer that they lead to."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

from fastapi import Query

from shoal_gateway.core import paging as core
from shoal_gateway.core.paging import CursorError, Page, Place
from shoal_gateway.core.rows import Row
from shoal_gateway.shell.problems import ProblemError, wrong
from shoal_gateway.shell.redis_store import RedisStore

T = TypeVar("T")
MOST = 1000
"""Items that a page may have."""
Cursor = Annotated[
    str | None, Query(max_length=2000, description="The `next` of the page before, as it is.")
]


class Paging:
    """Which page of a list is wanted. Without a limit: all that follows."""

    def __init__(self, limit: int | None, cursor: str | None) -> None:
        self.limit, self._cursor = limit, cursor

    def after(self, order: str = "") -> Place | None:
        """The place after which the page begins; None: at the list's beginning. Raises ProblemError
        (422) for a cursor that none of this list's pages had."""
        if self._cursor is None:
            return None
        try:
            return core.decode(order, self._cursor)
        except CursorError as error:
            raise _strange() from error

    def pair(self, kind: type[T], order: str = "") -> tuple[float, T] | None:
        """The same, of a list whose places are a number and one thing more."""
        after = self.after(order)
        try:
            return None if after is None else core.pair(after, kind)
        except CursorError as error:
            raise _strange() from error

    async def members(self, store: RedisStore, index: str, order: str = "") -> Row:
        """The answer with the page of an index's members, by their scores."""
        most = None if self.limit is None else self.limit + 1
        places = await store.page(index, most, self.pair(str, order))
        return self.answer(core.cut([(at, at[1]) for at in places], self.limit), order)

    def of(
        self,
        items: Iterable[T],
        place: Callable[[T], Place],
        order: str = "",
        *,
        descending: bool = False,
    ) -> Row:
        """The answer with the page of some rows."""
        try:
            found = core.page(items, place, self.after(order), self.limit, descending=descending)
        except CursorError as error:
            raise _strange() from error
        return self.answer(found, order)

    def answer(self, found: Page[Any], order: str = "") -> Row:
        """The answer with a page that was found."""
        following = None if found.next is None else core.encode(order, found.next)
        return {"items": found.items, "next": following}


def paging(
    limit: Annotated[
        int | None, Query(ge=1, le=MOST, description="Items of a page; without it, all.")
    ] = None,
    cursor: Cursor = None,
) -> Paging:
    """The page that a request is for, as a dependency of its route."""
    return Paging(limit, cursor)


def by(*names: str) -> Callable[[Row], Place]:
    """The place of a row that is sorted by these fields, of which the last is its id."""
    return lambda row: tuple(row[name] for name in names)


def _strange() -> ProblemError:
    return wrong("cursor", "The cursor is none of this list. Begin again without one.")
