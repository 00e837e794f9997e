"""How a worker gets in: with a token, and with settings that make sense."""

import ast
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from integration.worker.desk import Desk

from shoal_bus.bus import Bus, BusSettings
from shoal_contract import events as ev
from shoal_contract.states import Outcome
from shoal_contract.subjects import LOGS, RUNS


@pytest.fixture
def guarded(nats_server: Any) -> str:
    """The address of a server that wants a token."""
    nats_server.stop()
    with nats_server._config.open("a") as file:
        file.write('authorization { token: "let-me-in" }\n')
    nats_server.start()
    return nats_server.url


@pytest.mark.parametrize("by", ["SHOAL_NATS_TOKEN", "SHOAL_NATS_TOKEN_FILE"])
async def test_a_worker_joins_with_a_token_that_its_ranks_do_not_see(
    guarded: str, tmp_path: Path, by: str
) -> None:
    settings = BusSettings(nats_url=guarded, service="t", replica="t", token="let-me-in")
    assert "let-me-in" not in repr(settings)
    file = tmp_path / "token"
    file.write_text("let-me-in\n")
    desk = Desk(await Bus.connect(settings), tmp_path)
    tasks = [asyncio.create_task(desk.listen(s)) for s in (RUNS, LOGS)]
    try:
        await desk.begin(**{by: str(file) if by.endswith("FILE") else "let-me-in"})
        script = desk.code("import os; print(sorted(os.environ.values()))")
        order = await desk.start("e-0", bundle=script)
        assert (await desk.exit(order)).outcome is Outcome.COMPLETED
        log = await desk.find(ev.LogWritten)
        assert "let-me-in" not in log.lines[0]
        socket = next(Path(v) for v in ast.literal_eval(log.lines[0]) if v.endswith("/line"))
        assert socket.exists()
        assert desk.worker is not None
        desk.worker.kill()  # its guard, which says so, knows the token too
        await desk.find(ev.NodeLeft)
        await desk.worker.wait()
        assert not socket.parent.exists()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await desk.bus.close()


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"SHOAL_NIC": "nic9"}, "this machine has"), ({"SHOAL_NATS_TOKEN_FILE": "/no"}, "/no")],
)
async def test_settings_that_make_no_sense_are_one_sentence(
    tmp_path: Path, setting: dict[str, str], words: str
) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **setting}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal_worker", env=env, cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await process.communicate()
    assert (process.returncode, err.count(b"\n"), words.encode() in err) == (1, 1, True), err
