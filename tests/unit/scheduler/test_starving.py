"""Nothing starves: a whole-node gang against an endless stream of small requests."""

import pytest
from unit.scheduler.deciders import (
    FairShareDecider,
    FifoDecider,
    PriorityDecider,
    ThroughputDecider,
)
from unit.scheduler.desk import Desk, exited, join, of, want

from shoal_contract.events import AllocationGranted
from shoal_decider import Tick


@pytest.mark.parametrize(
    "policy", [FifoDecider, FairShareDecider, PriorityDecider, ThroughputDecider]
)
@pytest.mark.parametrize("preemptible", [True, False])
@pytest.mark.parametrize("workspace", ["one", "other"])
def test_a_gang_gets_its_turn(policy, preemptible, workspace):
    desk = Desk(join("n", 4), decider=policy())
    small = {"preemptible": preemptible, "workspace": "one"}
    for number in range(6):
        desk.tell(want(f"s{number}", experiment=f"e{number}", **small))
    desk.tell(want("gang", 4, experiment="g", workspace=workspace))
    for number in range(6, 60):
        desk.tell(want(f"s{number}", experiment=f"e{number}", **small))
        events = desk.tell(Tick(), after=30)
        holding = [a for a in desk.state.allocations.values() if a.runs]
        oldest = min(holding, key=lambda a: a.granted_at)
        leaving = [a for a in holding if a.stop_reason is not None]
        for allocation in {a.allocation_id: a for a in [oldest, *leaving]}.values():
            events += desk.tell(
                exited(allocation.trial_id, 0, "n", experiment=allocation.experiment_id)
            )
        if "gang" in [event.trial_id for event in of(events, AllocationGranted)]:
            return
    pytest.fail("it never started")
