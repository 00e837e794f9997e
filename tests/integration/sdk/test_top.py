"""`shoal top` over a real gateway, on the smallest usual terminal."""

import asyncio
from collections.abc import Callable
from typing import Any

from integration.gateway.conftest import Gateway, alone, gateway
from integration.gateway.test_gateway import publish, trial_events
from textual.pilot import Pilot
from textual.widgets import DataTable, RichLog, Static

from shoal.aio import AsyncClient
from shoal.cli.screen.app import Top
from shoal_contract.events import SearchPaused, TrialMeasured, ValidationReported
from shoal_contract.subjects import EXPERIMENTS, all_of

__all__ = ["alone", "gateway"]
SIZE = (80, 24)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await pilot.pause(0.05)


async def until_event(gateway: Gateway, kind: str, experiment_id: str) -> None:
    for _ in range(300):
        if await gateway.bus.last_of(EXPERIMENTS, all_of(kind, experiment_id)):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"nobody asked for {kind}")


def cells(app: Top, table: str) -> list[list[str]]:
    found: DataTable[Any] = app.screen.query_one(f"#{table}", DataTable)
    return [[str(cell) for cell in found.get_row(key)] for key in found.rows]


def headline(app: Top) -> str:
    return str(app.screen.query_one("#head", Static).content)


def reports(e: str, losses: list[float]) -> list[ValidationReported]:
    return [
        ValidationReported(
            experiment_id=e, trial_id=f"{e}-0", allocation_id=f"{e}-0-a1", attempt=1, step=n,
            time=n, metrics={"loss": loss}, at=float(n),
        )
        for n, loss in enumerate(losses, 3)
    ]  # fmt: skip


async def test_it_shows_what_is_and_what_happens_and_obeys(gateway: Gateway) -> None:
    e = await gateway.submit(name="cells")
    await publish(gateway, *trial_events(e), *reports(e, [0.6, 0.4, 0.3, 0.2]))
    other = await gateway.submit(name="digits")
    async with AsyncClient(gateway.url) as client:
        app = Top(client)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: len(cells(app, "experiments")) == 2)
            assert headline(app).startswith("nodes 1   slots 2/2 ██████████   waiting 0   active 2")
            assert cells(app, "nodes")[0][:3] == ["n1", "default", "ready"]
            assert [row[0] for row in cells(app, "experiments")] == [other, e]
            await pilot.press("down")
            await gateway.submit(name="third")
            measured = TrialMeasured(experiment_id=e, trial_id=f"{e}-0", step=9, time=9, metric=0.1)
            await publish(gateway, measured)
            await until(pilot, lambda: cells(app, "experiments")[-1][-1] == "0.1")
            assert len(cells(app, "experiments")) == 3
            log = app.screen.query_one("#log", RichLog)
            await until(pilot, lambda: any("at 9: 0.1" in line.text for line in log.lines))

            await pilot.press("enter")  # the cursor has stayed with its experiment
            await until(pilot, lambda: e in headline(app))
            await until(pilot, lambda: len(cells(app, "trials")) == 1)
            assert cells(app, "trials")[0][:2] == [f"{e}-0", "running"]
            curve = app.screen.query_one("#curve", Static)
            await until(pilot, lambda: f"{e}-0" in str(curve.content))
            await pilot.press("escape")

            await pilot.press("p")
            await until_event(gateway, "experiment.pause_requested", e)
            await publish(gateway, SearchPaused(experiment_id=e))
            await until(pilot, lambda: cells(app, "experiments")[-1][2] == "paused")
            await pilot.press("s")
            await until(pilot, lambda: len(app.screen.query("#ask")) == 1)
            await pilot.press("n")
            await pilot.press("s")
            await until(pilot, lambda: len(app.screen.query("#ask")) == 1)
            await pilot.press("y")
            await until_event(gateway, "experiment.cancel_requested", e)
            await pilot.press("q")
        assert app.return_code == 0


async def test_no_platform_is_said_on_the_screen() -> None:
    async with AsyncClient("http://127.0.0.1:9") as client:
        app = Top(client)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: "No Shoal answers" in headline(app))
            await pilot.press("q")
