"""Tables and sorted lines that fork cheaply: a draft plans on forks, the state is only read."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
E = TypeVar("E", bound=tuple[Any, ...])

_ABSENT: Any = object()


class Fork(dict[K, V]):
    """Reads through to another table, and keeps what is changed to itself.

    What the base changes later shows, except for keys that were changed here before.
    `copy` makes a value's copy before it is changed in place; see `change`.
    """

    __slots__ = ("_base", "_copy", "_gone")

    def __init__(self, base: dict[K, V], copy: Callable[[V], V] | None = None) -> None:
        self._base, self._copy = base, copy
        self._gone: dict[K, None] | None = None
        """Keys of the base that are no more, or were set anew after that."""

    def __missing__(self, key: K) -> V:
        if self._gone is not None and key in self._gone:
            raise KeyError(key)
        return self._base[key]

    def __contains__(self, key: object) -> bool:
        if dict.__contains__(self, key):
            return True
        return key in self._base and (self._gone is None or key not in self._gone)

    def get(self, key: Any, default: Any = None) -> Any:
        """As in a dict."""
        found = dict.get(self, key, _ABSENT)
        if found is not _ABSENT:
            return found
        if self._gone is not None and key in self._gone:
            return default
        return self._base.get(key, default)

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        dict.pop(self, key, None)
        if key in self._base:
            if self._gone is None:
                self._gone = {}
            self._gone[key] = None

    def pop(self, key: Any, *default: Any) -> Any:
        """As in a dict."""
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def setdefault(self, key: K, default: Any = None) -> Any:
        """As in a dict."""
        if key not in self:
            self[key] = default
        return self.own(key)

    @property
    def base(self) -> dict[K, V]:
        """The table that it reads through to."""
        return self._base

    @property
    def untouched(self) -> bool:
        """Whether nothing is other here than in the base."""
        return dict.__len__(self) == 0 and not self._gone

    def settle(self) -> None:
        """Change the base as this was changed, which is of no use after that. Every key comes to
        the place where the same changes would have put it."""
        for key in self._gone or ():
            del self._base[key]
        self._base.update(dict.items(self))

    def own(self, key: K) -> V:
        """The fork's own copy of a value, to be changed in place."""
        found: V = dict.get(self, key, _ABSENT)
        if found is _ABSENT:
            found = self[key]
            if self._copy is not None:
                found = self._copy(found)
            self[key] = found
        return found

    def __iter__(self) -> Iterator[K]:
        """First the base's keys that are left, then new ones."""
        gone = self._gone or ()
        for key in self._base:
            if key not in gone:
                yield key
        for key in dict.__iter__(self):
            if key not in self._base or key in gone:
                yield key

    def __len__(self) -> int:
        if self.untouched:
            return len(self._base)
        gone = self._gone or ()
        new = sum(key not in self._base or key in gone for key in dict.__iter__(self))
        return len(self._base) - len(gone) + new

    def __bool__(self) -> bool:
        return next(iter(self), _ABSENT) is not _ABSENT

    def keys(self) -> Any:
        """As an iterator."""
        return iter(self)

    def values(self) -> Any:
        """As an iterator."""
        return (self[key] for key in self)

    def items(self) -> Any:
        """As an iterator."""
        return ((key, self[key]) for key in self)


def settle(fork: Any, base: Any, tables: Iterable[str]) -> None:
    """Change the tables of a thing, by name, as those of its fork were."""
    for name in tables:
        table = getattr(fork, name)
        if type(table) is not Fork:  # it was copied, or is a line
            setattr(base, name, table)
        elif dict.__len__(table) or table._gone:  # most are untouched
            table.settle()


def change(table: dict[K, V], key: K) -> V:
    """The value of a key, to be changed in place: in a fork, a copy of its own."""
    return table.own(key) if type(table) is Fork else table[key]


def reader(table: Mapping[K, V]) -> Callable[[K], V | None]:
    """A table's `get`, for many looks between which nothing changes: the quickest there is."""
    while isinstance(table, Fork) and table.untouched:
        table = table.base
    return table.get


CHUNK = 256
"""A line's chunks have at most twice as many entries."""


class Line(Generic[E]):
    """Entries in ascending order, in chunks: changes and forks cost next to nothing.

    A fork shares its chunks with the line until either changes one.
    """

    __slots__ = ("_chunks", "_count", "_mine")

    def __init__(self) -> None:
        self._chunks: list[list[E]] = []
        self._mine: list[bool] = []
        self._count = 0

    def fork(self) -> "Line[E]":
        """A line that begins as this one is."""
        line: Line[E] = Line.__new__(Line)
        self._mine = [False] * len(self._chunks)
        line._chunks, line._mine = self._chunks.copy(), self._mine.copy()
        line._count = self._count
        return line

    def add(self, entry: E) -> None:
        """Put an entry in its place."""
        self._count += 1
        if not self._chunks:
            self._chunks, self._mine = [[entry]], [True]
            return
        at = min(self._chunk(entry), len(self._chunks) - 1)
        chunk = self._write(at)
        insort(chunk, entry)
        if len(chunk) > 2 * CHUNK:
            self._chunks[at : at + 1] = [chunk[:CHUNK], chunk[CHUNK:]]
            self._mine[at : at + 1] = [True, True]

    def remove(self, entry: E) -> None:
        """Take an entry out. Raises KeyError if it is not in the line."""
        at = self._chunk(entry)
        place = bisect_left(self._chunks[at], entry) if at < len(self._chunks) else 0
        if at == len(self._chunks) or self._chunks[at][place] != entry:
            raise KeyError(entry)
        self._count -= 1
        if len(self._chunks[at]) == 1:
            del self._chunks[at], self._mine[at]
        else:
            del self._write(at)[place]

    def since(self, entry: tuple[Any, ...]) -> Iterator[E]:
        """Entries from `entry` on, ascending. A shorter tuple comes before what it begins."""
        at = self._chunk(entry)
        if at < len(self._chunks):
            chunk = self._chunks[at]
            yield from chunk[bisect_left(chunk, entry) :]
            for chunk in self._chunks[at + 1 :]:
                yield from chunk

    def back(self, entry: tuple[Any, ...]) -> Iterator[E]:
        """Entries that are less than `entry`, descending."""
        at = self._chunk(entry)
        if at < len(self._chunks):
            chunk = self._chunks[at]
            yield from reversed(chunk[: bisect_left(chunk, entry)])
        for chunk in reversed(self._chunks[:at]):
            yield from reversed(chunk)

    def from_(self, entry: tuple[Any, ...]) -> E | None:
        """The least entry that is not less than `entry`."""
        at = self._chunk(entry)
        if at == len(self._chunks):
            return None
        return self._chunks[at][bisect_left(self._chunks[at], entry)]

    def before(self, entry: tuple[Any, ...]) -> E | None:
        """The greatest entry that is less than `entry`."""
        at = self._chunk(entry)
        place = bisect_left(self._chunks[at], entry) if at < len(self._chunks) else 0
        if place:
            return self._chunks[at][place - 1]
        return self._chunks[at - 1][-1] if at else None

    def place(self, entry: tuple[Any, ...]) -> int:
        """How many entries are less than `entry`."""
        at = self._chunk(entry)
        before = sum(len(chunk) for chunk in self._chunks[:at])
        return before if at == len(self._chunks) else before + bisect_left(self._chunks[at], entry)

    def first(self) -> E | None:
        """The least entry."""
        return self._chunks[0][0] if self._chunks else None

    def last(self) -> E | None:
        """The greatest entry."""
        return self._chunks[-1][-1] if self._chunks else None

    def __iter__(self) -> Iterator[E]:
        for chunk in list(self._chunks):
            yield from chunk

    def some(self, first: int, most: int) -> list[E]:
        """At most `most` entries from the `first` on, ascending."""
        found: list[E] = []
        for chunk in self._chunks:
            if first < len(chunk):
                found += chunk[first : first + most - len(found)]
                if len(found) == most:
                    break
            first = max(0, first - len(chunk))
        return found

    def __reversed__(self) -> Iterator[E]:
        for chunk in reversed(list(self._chunks)):
            yield from reversed(chunk)

    def __len__(self) -> int:
        return self._count

    def _chunk(self, entry: tuple[Any, ...]) -> int:
        """The first chunk whose last entry is not less than `entry`."""
        chunks, low, high = self._chunks, 0, len(self._chunks)
        while low < high:
            middle = (low + high) // 2
            if chunks[middle][-1] < entry:
                low = middle + 1
            else:
                high = middle
        return low

    def _write(self, at: int) -> list[E]:
        if not self._mine[at]:
            self._chunks[at], self._mine[at] = list(self._chunks[at]), True
        return self._chunks[at]


def add(lines: dict[K, Line[E]], key: K, entry: E) -> None:
    """Put an entry into the line of a key, which is made if there is none."""
    if key not in lines:
        lines[key] = Line()
    change(lines, key).add(entry)
