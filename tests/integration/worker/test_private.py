"""A real worker gives a trial its secrets and its token, and its own key to nobody."""

from integration.worker.desk import Desk, desk

from shoal_bus.sealing import Attempt, Seal
from shoal_contract import events as ev

__all__ = ["desk"]
KEY = "k" * 40
SCRIPT = """
import hashlib, os
names = ("WANDB_KEY", "SHOAL_TOKEN", "SHOAL_URL", "SHOAL_SECRET_KEY", "RANK")
print("found", *(os.environ.get(name, "nothing") for name in names))
"""


async def said(desk: Desk, run: ev.RunOrder) -> list[str]:
    """The words of a run's line."""

    def wanted(event: ev.LogWritten) -> bool:
        return event.allocation_id == run.allocation_id and "found" in event.lines[0]

    return (await desk.find(ev.LogWritten, wanted)).lines[0].split()[1:]


async def test_a_trial_finds_its_secrets_and_its_token(desk: Desk) -> None:
    seal = Seal(KEY)
    for value in ("first", "second"):
        sealed = seal.close("red", "WANDB_KEY", value)
        await desk.say(ev.SecretKept(workspace="red", name="WANDB_KEY", sealed=sealed, at=1.0))
    await desk.begin(SHOAL_SECRET_KEY=KEY, SHOAL_URL="http://gateway:8080")
    code = desk.code(SCRIPT)
    task = {"bundle": code, "workspace": "red", "secrets": ["WANDB_KEY"]}
    run = await desk.start("e-0", attempt=2, **task)
    secret, token, url, key, rank = await said(desk, run)
    assert (secret, url, key, rank) == ("second", "http://gateway:8080", "nothing", "0")
    assert seal.verify(token) == Attempt("e", "e-0", 2)
    missing = await desk.start("e-1", bundle=code, workspace="blue", secrets=["WANDB_KEY"])
    ended = await desk.find(ev.RunExited, lambda e: e.run_id == missing.run_id)
    assert "no secret WANDB_KEY" in ended.reason
    assert not any("second" in e.model_dump_json() for e in desk.seen if e.type != "log.written")


async def test_a_worker_without_the_key_gives_neither(desk: Desk) -> None:
    await desk.begin()
    run = await desk.start("e-0", bundle=desk.code(SCRIPT))
    assert await said(desk, run) == ["nothing", "nothing", "nothing", "nothing", "0"]
    asking = await desk.start("e-1", bundle=desk.code(SCRIPT), secrets=["WANDB_KEY"])
    ended = await desk.find(ev.RunExited, lambda e: e.run_id == asking.run_id)
    assert "SHOAL_SECRET_KEY" in ended.reason
