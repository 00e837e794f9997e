"""Says `node.left` for a worker that died, so that nobody waits for its silence, and brings to
storage what its ranks wrote.

Run as `python -m shoal_worker.shell.guard FD NODE INCARNATION STATE_DIR FOLDER` with the bus's
settings as JSON on its standard input. FOLDER is the worker's temporary one, and goes with it. FD
is the reading end of a pipe whose other end the worker, the warm process and every rank hold: it
closes when the last of them is gone, and only then is the word said. A worker that leaves in order
writes a byte first.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from shoal_bus.bus import Bus, BusSettings
from shoal_contract.events import NodeLeft
from shoal_worker.shell import isolation, records

LIMIT = 10.0
"""Seconds within which the word must be said; then the silence is noticed anyway."""


class Guard:
    """The worker's end."""

    def __init__(self) -> None:
        self._reading, self.held = os.pipe()
        """`held` is to be passed to whatever runs ranks."""
        self._process: asyncio.subprocess.Process | None = None

    async def open(
        self, node: str, incarnation: str, settings: BusSettings, state_dir: Path, folder: str
    ) -> None:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", __name__, str(self._reading), node, incarnation,
            str(state_dir), folder,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(self._reading,),
            start_new_session=True,
        )  # fmt: skip
        os.close(self._reading)
        if self._process.stdin is not None:
            self._process.stdin.write(settings.model_dump_json().encode())
            self._process.stdin.close()

    async def dismiss(self) -> None:
        """This worker leaves in order."""
        os.write(self.held, b".")
        os.close(self.held)
        if self._process is not None:
            await self._process.wait()


def main() -> None:
    """Wait for the end of all, and say so."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # meant for the worker
    isolation.hide()
    pipe, node, incarnation = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    settings = BusSettings.model_validate_json(sys.stdin.read())
    if os.read(pipe, 1) == b"":
        shutil.rmtree(sys.argv[5], ignore_errors=True)
        with contextlib.suppress(TimeoutError):
            asyncio.run(asyncio.wait_for(_say(node, incarnation, settings), LIMIT))
        records.rescue(Path(sys.argv[4]), incarnation)


async def _say(node: str, incarnation: str, settings: BusSettings) -> None:
    bus = await Bus.connect(settings)
    event = NodeLeft(
        node_id=node, incarnation=incarnation, reason="its worker died, and its ranks with it"
    )
    await bus.publish(event, id=f"{node}-{incarnation}-died")
    await bus.close()


if __name__ == "__main__":
    main()
