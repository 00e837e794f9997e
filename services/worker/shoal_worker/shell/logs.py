"""What ranks write, as events: read from their files, in batches, to the end."""

import asyncio
import time
from collections.abc import Iterable, Iterator
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


@dataclass(slots=True)
class LogTail:
    """Follows the files of one run."""

    bus: Bus
    order: RunOrder
    folder: Path
    """With `rank-N.stdout` and `rank-N.stderr`."""
    _read: dict[Path, int] = field(default_factory=dict)
    _lines: dict[Path, int] = field(default_factory=dict)

    async def follow(self, done: asyncio.Event) -> None:
        """Publish lines until `done` and everything is read."""
        while True:
            last = done.is_set()
            for rank in range(len(self.order.slots)):
                for stream in ("stdout", "stderr"):
                    await self._publish(self.order.first_rank + rank, stream, last)
            if last:
                return
            try:
                await asyncio.wait_for(done.wait(), INTERVAL)
            except TimeoutError:
                continue

    async def _publish(self, rank: int, stream: Literal["stdout", "stderr"], last: bool) -> None:
        path = self.folder / f"rank-{rank}.{stream}"
        try:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
        except FileNotFoundError:
            return
        whole = data if last else data[: data.rfind(b"\n") + 1]
        if not whole:
            return
        lines = whole.decode(errors="replace").splitlines()
        self._read[path] = self._read.get(path, 0) + len(whole)
        for part in batches(lines):
            sequence = self._lines.get(path, 0)
            event = LogWritten(
                experiment_id=self.order.task.experiment_id,
                trial_id=self.order.task.trial_id,
                allocation_id=self.order.allocation_id,
                rank=rank,
                stream=stream,
                lines=part,
                sequence=sequence,
                at=time.time(),
            )
            name = f"{self.order.run_id}-{rank}-{stream}"
            await self.bus.publish(event, id=event_id("log", name, sequence))
            self._lines[path] = sequence + len(part)


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


def last_line(path: Path) -> str:
    """The last line of a file that is not blank, at most 300 characters; or nothing."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
