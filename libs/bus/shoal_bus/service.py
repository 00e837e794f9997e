"""How a service runs as a process: logging, signals, exit codes."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from shoal_bus import tracing


def run_service(name: str, replica: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run `main` until it ends or the process is told to (SIGTERM, SIGINT); then exit.

    Exit code 0 after an orderly end, 1 after an error, which is logged with its traceback.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s {replica} %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    tracing.setup(name, replica)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(main))
    except Exception:
        logging.getLogger(name).exception("%s ends because of an error", replica)
        sys.exit(1)


async def _until_told(main: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
