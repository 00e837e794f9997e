"""Which reports of a run are told together, in one event."""

from collections.abc import Iterable

from shoal_contract.line import Numbers

TOGETHER = 32 * 1024
"""Bytes of several reports in one event, at most: readers take a thousand events at once."""


def parcels(items: Iterable[Numbers]) -> list[list[Numbers]]:
    """Reports as they followed one another, each list of one group and of `TOGETHER` bytes at most,
    if it has more than one. The same reports are always parted alike."""
    found: list[list[Numbers]] = []
    size = 0
    for item in items:
        more = Numbers.at_most(item.metrics)
        if found and found[-1][0].group == item.group and size + more <= TOGETHER:
            found[-1].append(item)
            size += more
        else:
            found.append([item])
            size = more
    return found
