"""What ranks write, as events: read from their files, in batches, to the end.

Each rank's stdout and stderr may write so many lines and bytes a second; of what is more, only the
number becomes an event. The files have all of it, and go to storage.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shoal_bus.bus import Bus
from shoal_contract.events import LogWritten, RunOrder
from shoal_contract.ids import event_id

INTERVAL = 0.5
BATCH = 200
"""Lines in one event."""
LONGEST = 4096
"""Characters of a line that are published; the file has all."""
CHARACTERS = 100_000
"""In one event: as JSON they stay below NATS's limit of 1 MiB, also where each takes 6 bytes."""
CHUNK = 1 << 20
"""Bytes that are read at once."""
BURST = 10.0
"""Seconds' worth of lines and bytes that may come at once."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one rank's stdout or stderr may write, as events."""

    lines: float = 1000.0
    """A second."""
    bytes: float = 1e6
    """A second."""


@dataclass(slots=True)
class Allowance:
    """A token bucket for one file. However late it is asked, what came at less than the rates
    passes."""

    rates: Rates
    asked: float
    """Seconds on the clock of `passing`."""
    _lines: float = field(init=False)
    _bytes: float = field(init=False)

    def __post_init__(self) -> None:
        self._lines, self._bytes = self.rates.lines * BURST, self.rates.bytes * BURST

    def refill(self, now: float) -> None:
        """Time has passed."""
        elapsed, self.asked = now - self.asked, now
        lines, size = self.rates.lines, self.rates.bytes
        self._lines = min(self._lines, lines * BURST) + elapsed * lines
        self._bytes = min(self._bytes, size * BURST) + elapsed * size

    def passing(self, sizes: Sequence[int]) -> int:
        """How many of the next lines, of these sizes in bytes, may pass."""
        for number, size in enumerate(sizes):
            if self._lines < 1 or self._bytes < size:
                return number
            self._lines -= 1
            self._bytes -= size
        return len(sizes)


@dataclass(slots=True)
class File:
    """One file that a rank writes."""

    path: Path
    rank: int
    stream: Literal["stdout", "stderr"]
    allowance: Allowance
    read: int = 0
    """Bytes."""
    lines: int = 0
    """Lines that were read, with those that were left out."""
    dropped: int = 0
    """Lines that were left out since it was said."""


@dataclass(slots=True)
class LogTail:
    """Follows the files of one run."""

    bus: Bus
    order: RunOrder
    folder: Path
    """With `rank-N.stdout` and `rank-N.stderr`."""
    rates: Rates = field(default_factory=Rates)

    async def follow(self, done: asyncio.Event) -> None:
        """Publish lines until `done` and everything is read."""
        began, first = time.monotonic(), self.order.first_rank
        streams: tuple[Literal["stdout", "stderr"], ...] = ("stdout", "stderr")
        files = [
            File(self.folder / f"rank-{rank}.{stream}", rank, stream, Allowance(self.rates, began))
            for rank in range(first, first + len(self.order.slots))
            for stream in streams
        ]
        while True:
            last = done.is_set()
            for file in files:
                await self._read(file, last)
            if last:
                return
            try:
                await asyncio.wait_for(done.wait(), INTERVAL)
            except TimeoutError:
                continue

    async def _read(self, file: File, last: bool) -> None:
        file.allowance.refill(time.monotonic())
        while data := whole(file.path, file.read, last):
            file.read += len(data)
            lines = data.decode(errors="replace").splitlines()
            passing = file.allowance.passing([len(line) + 1 for line in lines])
            if passing:
                await self._say_dropped(file)
            for part in batches(lines[:passing]):
                await self._publish(file, part, file.lines)
                file.lines += len(part)
            file.dropped += len(lines) - passing
            file.lines += len(lines) - passing
            await asyncio.sleep(0)
            if not last and time.monotonic() > file.allowance.asked + INTERVAL:
                break  # others write, too
        await self._say_dropped(file)

    async def _say_dropped(self, file: File) -> None:
        if not file.dropped:
            return
        words = (
            f"[{file.dropped} lines are left out here: {file.stream} has more than"
            f" {self.rates.lines:g} lines or {self.rates.bytes:g} bytes a second;"
            " the file in storage has all of it]"
        )
        await self._publish(file, [words], file.lines - file.dropped, file.dropped)
        file.dropped = 0

    async def _publish(self, file: File, lines: list[str], sequence: int, dropped: int = 0) -> None:
        event = LogWritten(
            experiment_id=self.order.task.experiment_id,
            trial_id=self.order.task.trial_id,
            allocation_id=self.order.allocation_id,
            attempt=self.order.task.attempt,
            rank=file.rank,
            stream=file.stream,
            lines=lines,
            sequence=sequence,
            dropped=dropped,
            at=time.time(),
        )
        name = f"{self.order.run_id}-{file.rank}-{file.stream}"
        await self.bus.publish(event, id=event_id("log", name, sequence))


def whole(path: Path, start: int, last: bool) -> bytes:
    """At most `CHUNK` bytes of a file from `start`, up to the end of a line: of a progress bar,
    too, which returns to the line's start. A line that is longer comes in parts; so does the
    `last`, without an end."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(CHUNK)
    except FileNotFoundError:
        return b""
    if len(data) < CHUNK and last:
        return data
    cut = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1  # after a final \r comes \n perhaps
    return data[:cut] if cut or len(data) < CHUNK else data


def batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines in parts that fit into one event each; what is longer than `LONGEST` is cut."""
    part: list[str] = []
    size = 0
    for line in lines:
        if len(line) > LONGEST:
            line = f"{line[:LONGEST]}… ({len(line) - LONGEST} more characters)"
        if part and (len(part) == BATCH or size + len(line) > CHARACTERS):
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield part
