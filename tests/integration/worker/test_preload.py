"""Warm processes with what experiments list: used once they are warm, replaced, and few."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from shoal_worker.shell import preloaded, warm
from shoal_worker.shell.launcher import Launcher, Spawn

DEADLINE = 60.0
CODE = """
import os, sys
print(os.getppid(), *(name for name in ("wave", "sched", "tabnanny") if name in sys.modules))
"""


class Desk:
    """A launcher that runs one script after another."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ends = folder, asyncio.Queue[int]()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.launcher = Launcher(
            lambda _run, _rank, code: self.ends.put_nowait(code), True, self.env
        )
        (folder / "script.py").write_text(CODE)

    async def run(self, *modules: str) -> tuple[str, list[str]]:
        """The process that the script was forked from, and the modules that it found."""
        out = self.folder / "out"
        out.unlink(missing_ok=True)
        await self.launcher.start(Spawn(
            run_id="r", rank=0, arguments=["python", "script.py"], folder=str(self.folder),
            env=self.env, stdout=str(out), stderr=str(self.folder / "err"), preload=modules,
        ))  # fmt: skip
        assert await asyncio.wait_for(self.ends.get(), DEADLINE) == 0
        parent, *found = out.read_text().split()
        return parent, found

    async def warmed(self, *modules: str) -> str:
        """Run once the modules are there; the process that it was forked from then."""
        await self.run(*modules)
        await self.launcher._preloaded._kept[modules].wait(60.0)
        parent, found = await self.run(*modules)
        assert sorted(found) == sorted(m for m in modules if m != "no.such.module")
        return parent


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    await made.launcher.open()
    yield made
    await made.launcher.close()


@pytest.mark.timeout(300)  # five processes import torch
async def test_what_an_experiment_lists_is_imported_once_it_is_warm(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preloaded, "MOST", 1)
    usual, found = await desk.run("wave", "no.such.module")
    assert found == []  # it did not wait
    first = await desk.warmed("wave", "no.such.module")
    assert first != usual
    assert await desk.run("wave", "no.such.module") == (first, ["wave"])
    assert await desk.run() == (usual, [])
    # Another takes its place when no more are kept,
    process = psutil.Process(int(first))
    second = await desk.warmed("sched", "tabnanny")
    await asyncio.to_thread(process.wait, DEADLINE)
    # and when packages were installed.
    monkeypatch.setattr(warm, "_packages", lambda: [("elsewhere", 1)])
    assert await desk.warmed("sched", "tabnanny") not in (usual, second)


async def test_a_warm_process_that_has_grown_serves_until_another_is_warm(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = await desk.run()
    process = psutil.Process(int(first))
    with monkeypatch.context() as patch:
        patch.setattr(warm, "GROWTH", -(2**40))
        assert await desk.run() == (first, [])
    assert desk.launcher._next is not None
    await desk.launcher._next.wait(DEADLINE)
    assert (await desk.run())[0] != first
    await asyncio.to_thread(process.wait, DEADLINE)
