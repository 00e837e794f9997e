"""The launcher with real processes: warm and cold, gangs, failures, and nothing left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from ports import free_port

from shoal_worker.shell.launcher import Launcher, Spawn

DEADLINE = 60.0
GANG = """
import torch, torch.distributed as dist, os
dist.init_process_group("gloo")
t = torch.tensor([dist.get_rank() + 1]); dist.all_reduce(t); print("sum", int(t), os.getcwd())
dist.destroy_process_group()
"""


class Desk:
    """A launcher, and the exits that it told of."""

    def __init__(self, folder: Path, warm: bool) -> None:
        self.folder = folder
        self.exits: asyncio.Queue[tuple[str, int, int]] = asyncio.Queue()
        env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.env = env
        self.launcher = Launcher(lambda *exit: self.exits.put_nowait(exit), warm, env)

    async def start(self, code: str, rank: int = 0, **env: str) -> int:
        (self.folder / "script.py").write_text(code)
        return await self.start_command(["python", "script.py", "--flag"], rank, **env)

    async def start_command(self, arguments: list[str], rank: int = 0, **env: str) -> int:
        spawn = Spawn(
            run_id="r", rank=rank, arguments=arguments,
            folder=str(self.folder), env={**self.env, **env},
            stdout=str(self.folder / f"{rank}.out"), stderr=str(self.folder / f"{rank}.err"),
        )  # fmt: skip
        return await self.launcher.start(spawn)

    async def exit(self) -> tuple[str, int, int]:
        return await asyncio.wait_for(self.exits.get(), DEADLINE)

    def said(self, rank: int = 0, stream: str = "out") -> str:
        return (self.folder / f"{rank}.{stream}").read_text()


async def said_something(file: Path) -> None:
    end = asyncio.get_running_loop().time() + DEADLINE
    while not file.exists() or not file.read_text().strip():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.02)


@pytest_asyncio.fixture(params=[True, False], ids=["warm", "cold"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path, request.param)
    await made.launcher.open()
    yield made
    await made.launcher.close()


async def test_a_script_runs_in_its_own_world(desk: Desk) -> None:
    code = "import os, sys; print(sys.argv, os.getcwd(), sorted(os.environ), __name__)"
    await desk.start(code, SHOAL_TOKEN="t")
    assert await desk.exit() == ("r", 0, 0)
    said = desk.said()
    assert "['script.py', '--flag']" in said
    assert str(desk.folder) in said
    assert "'SHOAL_TOKEN'" in said
    assert "PYTEST_CURRENT_TEST" not in said
    assert "__main__" in said


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("raise ValueError('no such data')", 1, "ValueError: no such data"),
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('bad luck')", 1, "bad luck"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
async def test_how_a_script_ends_is_told(desk: Desk, code: str, exit_code: int, words: str) -> None:
    await desk.start(code)
    assert await desk.exit() == ("r", 0, exit_code)
    assert words in desk.said(stream="err")


async def test_two_ranks_meet(desk: Desk) -> None:
    port = str(free_port())
    for rank in range(2):
        await desk.start(
            GANG, rank, RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
            MASTER_PORT=port, GLOO_SOCKET_IFNAME="lo", OMP_NUM_THREADS="1",
        )  # fmt: skip
    exits = [await desk.exit() for _ in range(2)]
    assert sorted(exits) == [("r", 0, 0), ("r", 1, 0)], desk.said(stream="err")
    assert "sum 3" in desk.said(0)
    assert "sum 3" in desk.said(1)


async def test_a_killed_run_leaves_no_child_behind(desk: Desk) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    await desk.start(code)
    await said_something(desk.folder / "0.out")
    child = psutil.Process(int(desk.said()))
    desk.launcher.kill("r")
    assert await desk.exit() == ("r", 0, -9)
    gone, alive = psutil.wait_procs([child], timeout=DEADLINE)
    assert (len(gone), alive) == (1, [])


async def test_what_the_warm_process_cannot_run_is_started_from_nothing(desk: Desk) -> None:
    (desk.folder / "script.py").write_text("import sys; print(sys.flags.optimize, sys.argv)")
    await desk.start_command(["python", "-O", "script.py", "a"])
    assert await desk.exit() == ("r", 0, 0)
    assert "1 ['script.py', 'a']" in desk.said()
    await desk.start_command(["no-such-command"], rank=1)
    assert await desk.exit() == ("r", 1, 127)
    assert "no-such-command: No such file" in desk.said(1, "err")


async def test_threads_of_a_script_are_waited_for(desk: Desk) -> None:
    await desk.start(
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), print('written'))).start()"
    )
    assert await desk.exit() == ("r", 0, 0)
    assert "written" in desk.said()


async def test_what_is_read_at_the_start_is_the_trials(desk: Desk) -> None:
    (desk.folder / "libx").mkdir()
    (desk.folder / "libx" / "mine.py").write_text("")
    (desk.folder / "tmp").mkdir()
    await desk.start(
        "import mine, numpy, sys, tempfile, threadpoolctl, time\n"
        "pools = threadpoolctl.threadpool_info()\n"
        "print(mine.__file__, tempfile.gettempdir(), sys.stdout.write_through, time.tzname[0],\n"
        "      *{pool['num_threads'] for pool in pools if pool['user_api'] == 'blas'})",
        PYTHONPATH="libx", TMPDIR=str(desk.folder / "tmp"), PYTHONUNBUFFERED="1", TZ="JST-9",
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert await desk.exit() == ("r", 0, 0), desk.said(stream="err")
    module = desk.folder / "libx" / "mine.py"
    assert desk.said() == f"{module} {desk.folder / 'tmp'} True JST 1\n"


async def test_processes_are_spawned(desk: Desk) -> None:
    await desk.start(
        "import multiprocessing\n"
        "def say(): print('spawned', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=say)\n"
        "    process.start(); process.join(); raise SystemExit(process.exitcode)"
    )
    assert await desk.exit() == ("r", 0, 0), desk.said(stream="err")
    assert desk.said() == "spawned\n"


async def test_a_traceback_begins_with_the_script(desk: Desk) -> None:
    await desk.start(
        "import sys\n"
        "told, before = [], sys.excepthook\n"
        "sys.excepthook = lambda *e: (print('hooked', e[0].__name__), before(*e))\n"
        "def fail(): raise ValueError('no such data')\n"
        "fail()"
    )
    assert await desk.exit() == ("r", 0, 1)
    assert desk.said() == "hooked ValueError\n"
    lines = desk.said(stream="err").splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.split(", ")[1:] for line in lines if line.startswith("  File")] == [
        ["line 5", "in <module>"], ["line 4", "in fail"],
    ]  # fmt: skip
    assert all("script.py" in line for line in lines if line.startswith("  File"))


async def test_ranks_that_do_not_listen_hear_sigterm_once(desk: Desk) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('told'), time.sleep(0.5), sys.exit(7)))\n"
        "print('up', flush=True); time.sleep(600)"
    )
    for rank in range(2):
        await desk.start(code, rank)
        await said_something(desk.folder / f"{rank}.out")
    for _ in range(2):
        desk.launcher.stop("r", 60, listening={1})
    assert await desk.exit() == ("r", 0, 7)
    assert desk.said() == "up\ntold\n"
    desk.launcher.kill("r")
    assert await desk.exit() == ("r", 1, -9)
    assert desk.said(1) == "up\n"


async def test_a_rank_that_was_just_started_hears_sigterm(desk: Desk) -> None:
    await desk.start("import time; time.sleep(600)")
    desk.launcher.stop("r", 60, listening=())
    assert await desk.exit() == ("r", 0, -15)


async def test_ranks_do_not_wait_for_a_warm_process_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text("import time; time.sleep(600)")
    made = Desk(tmp_path, warm=True)
    made.launcher.env["PYTHONPATH"] = str(tmp_path)
    made.launcher.preload, made.launcher.patience = "hanging", 0.5
    await made.launcher.open()
    await made.start("print('up')")
    assert await made.exit() == ("r", 0, 0)
    await made.launcher.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_whole_group_spares_the_ranks(
    desk: Desk, number: signal.Signals
) -> None:
    """As systemd and Ctrl-C send it: the worker alone decides what follows."""
    code = "import time; print('up', flush=True); time.sleep(0.5); print('done')"
    await desk.start(code)
    await said_something(desk.folder / "0.out")
    for child in psutil.Process().children():
        if any(word in " ".join(child.cmdline()) for word in ("zygote", "leash")):
            child.send_signal(number)
    assert await desk.exit() == ("r", 0, 0)
    assert "done" in desk.said()


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
async def test_ranks_end_with_the_worker(tmp_path: Path, warm: bool) -> None:
    """A worker that is killed takes its ranks along: here a process that owns a launcher."""
    owner, said = tmp_path / "owner.py", tmp_path / "said"
    command = ["python", "rank.py"] if warm else ["sh", "-c", "python rank.py; true"]
    owner.write_text(
        "import asyncio, os, sys\n"
        "from shoal_worker.shell.launcher import Launcher, Spawn\n"
        "async def main():\n"
        "    env = {'PATH': os.environ['PATH'], 'HOME': '/'}\n"
        f"    launcher = Launcher(lambda *a: None, {warm}, env)\n"
        "    await launcher.open()\n"
        f"    pid = await launcher.start(Spawn('r', 0, {command!r}, {str(tmp_path)!r},"
        f" env, {str(said)!r}, '/dev/null'))\n"
        "    print(pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    (tmp_path / "rank.py").write_text(
        "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(owner), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), DEADLINE)
    await said_something(said)
    ranks = [psutil.Process(int(line)), psutil.Process(int(said.read_text()))]
    process.kill()
    await process.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, ranks, timeout=DEADLINE)
    assert alive == []
