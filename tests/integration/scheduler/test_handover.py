"""Two replicas as processes: the one that leads is killed in the middle of its work."""

import asyncio
import os
import sys

from unit.scheduler.desk import check, exited, join, want

from shoal_bus.consume import Consumer
from shoal_contract.events import AllocationEnded, AllocationGranted, NodeAdmitted
from shoal_contract.subjects import SCHEDULE
from shoal_scheduler.core.decider import SchedulerDecider

TRIALS = [f"t{number}" for number in range(40)]


async def start(nats_url, replica):
    settings = {"SHOAL_NATS_URL": nats_url, "SHOAL_REPLICA": replica, "SHOAL_NODE_TIMEOUT": "600"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal_scheduler", env={**os.environ, **settings}
    )


async def test_nothing_is_granted_twice_when_the_leader_is_killed(nats_url, bus):
    writer = await bus("worker")
    processes = [await start(nats_url, "one")]
    decider = SchedulerDecider()
    state, granted, ended = decider.initial(), [], []
    try:
        await writer.publish(join("n", 4), id="joined")
        async with asyncio.timeout(60):
            async for batch in Consumer(writer, SCHEDULE).batches():
                for delivery in batch:
                    event = delivery.envelope.event
                    state = decider.evolve(state, event)
                    if isinstance(event, NodeAdmitted):
                        processes.append(await start(nats_url, "two"))
                        for trial in TRIALS:
                            await writer.publish(want(trial), id=f"want-{trial}")
                    elif isinstance(event, AllocationGranted):
                        check(state)
                        granted.append(event.trial_id)
                        await writer.publish(exited(event.trial_id, 0, "n"), id=event.trial_id)
                        if len(granted) == 10:
                            processes[0].kill()
                    elif isinstance(event, AllocationEnded):
                        ended.append(event.trial_id)
                if len(ended) == len(TRIALS):
                    break
        assert granted == TRIALS, "each once, in its order"
        assert sorted(ended) == sorted(TRIALS)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
