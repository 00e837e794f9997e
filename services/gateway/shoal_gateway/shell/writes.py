"""What the request that is being answered wrote: the position at which reads show it."""

from collections.abc import Mapping
from contextvars import ContextVar

from shoal_contract.subjects import Stream

_written: ContextVar[dict[str, int] | None] = ContextVar("written", default=None)


def noting() -> dict[str, int]:
    """Begin to note what this task writes; the sequences, by stream, come into what is returned."""
    found: dict[str, int] = {}
    _written.set(found)
    return found


def wrote(stream: Stream, sequence: int) -> None:
    """Note what was published."""
    wrote_before({stream.name: sequence})


def wrote_before(position: Mapping[str, int]) -> None:
    """Note what was published, also by an earlier request which this one repeats."""
    if (found := _written.get()) is not None:
        for name, sequence in position.items():
            found[name] = max(sequence, found.get(name, 0))


def written() -> dict[str, int]:
    """What was noted until now."""
    return dict(_written.get() or {})
