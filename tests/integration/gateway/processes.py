"""A gateway as a process of its own, which can be killed."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from shoal_gateway.settings import Settings

WAIT = 60.0
"""Seconds within which a process does what it is to do."""


def environment(settings: Settings) -> dict[str, str]:
    """The settings as variables."""
    said = settings.model_dump(exclude_defaults=True, mode="json")
    named = {f"SHOAL_{name.upper()}": str(value) for name, value in said.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    return kept | named


def command(*arguments: str) -> list[str]:
    """`shoal-gateway` with arguments."""
    return [sys.executable, "-m", "shoal_gateway", *arguments]


def begin(settings: Settings, folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start it; what it says is in `gateway.log`."""
    with (folder / "gateway.log").open("ab") as out:
        return subprocess.Popen(
            command(*arguments), env=environment(settings), stdout=out, stderr=out
        )


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Gone without a word."""
    process.kill()
    process.wait()


@contextlib.asynccontextmanager
async def running(
    settings: Settings, folder: Path
) -> AsyncIterator[tuple["subprocess.Popen[bytes]", httpx.AsyncClient]]:
    """A gateway that is ready, and a client of it; killed in the end, if it was not before."""
    settings = settings.model_copy(update={"token_file": folder / "token"})
    process = begin(settings, folder)
    url = f"http://127.0.0.1:{settings.port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=20) as http:
            async with asyncio.timeout(WAIT):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        if (await http.get("/readyz")).status_code == 200:
                            break
                    assert process.poll() is None, (folder / "gateway.log").read_text()
                    await asyncio.sleep(0.05)
            token = (folder / "token").read_text().strip()
            http.headers["Authorization"] = f"Bearer {token}"
            yield process, http
    finally:
        kill(process)
