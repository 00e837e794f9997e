"""Which runs use a machine, and up to when their work is safe."""

from shoal_contract.events import AllocationGranted, CheckpointSaved, RunSettled
from shoal_contract.events.instance import WorkSaved
from shoal_contract.states import Outcome
from shoal_provisioner.core.draft import Draft
from shoal_provisioner.core.money import lose, meter

SAFE = (Outcome.COMPLETED, Outcome.STOPPED)
"""Ends after which nothing has to be done again."""


def note(draft: Draft, body: AllocationGranted | RunSettled | CheckpointSaved) -> None:
    """Account for what a machine did until now, and for whom it works from now on."""
    match body:
        case AllocationGranted():
            for place in body.placements:
                machine = draft.state.on_node(place.node_id)
                if machine is not None and body.allocation_id not in machine.shares:
                    shares = {**machine.shares, body.allocation_id: len(place.slots)}
                    meter(draft, machine.instance_id, shares)
        case RunSettled():
            machine = draft.state.on_node(body.node_id)
            if machine is not None and body.allocation_id in machine.shares:
                if body.outcome not in SAFE:
                    lose(draft, machine, body.allocation_id)
                shares = {k: v for k, v in machine.shares.items() if k != body.allocation_id}
                meter(draft, machine.instance_id, shares)
        case CheckpointSaved():
            for machine in list(draft.state.instances.values()):
                if machine.saved.get(body.allocation_id, draft.now) < draft.now:
                    draft.emit(
                        WorkSaved(
                            pool=machine.pool,
                            instance_id=machine.instance_id,
                            allocation_id=body.allocation_id,
                            at=draft.now,
                        )
                    )
