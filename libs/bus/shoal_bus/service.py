"""How a service runs as a process: event loop, logging, signals, exit codes."""

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

from shoal_bus import tracing


class _Json(logging.Formatter):
    """A line of JSON for each record."""

    def __init__(self, service: str, replica: str) -> None:
        super().__init__()
        self._fixed = {"service": service, "replica": replica}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fixed,
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def run_service(
    main: Callable[[], Awaitable[None]], name: str, replica: str = "", *, json_logs: bool = False
) -> None:
    """Run `main` until it ends or the process is told to end (SIGTERM, SIGINT: it is cancelled).

    The exit code is 0 after an orderly end and 1 after an error, whose traceback is logged.
    """
    replica = replica or name
    handler = logging.StreamHandler(sys.stderr)
    plain = f"%(asctime)s {replica} %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(_Json(name, replica) if json_logs else logging.Formatter(plain))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    tracing.setup(name, replica)
    try:
        with asyncio.Runner(loop_factory=_loop) as runner:
            runner.run(_until_told(main))
    except Exception:
        logging.getLogger(name).exception("%s ends because of an error", replica)
        sys.exit(1)


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _until_told(main: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main())
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
