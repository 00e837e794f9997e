"""What people ask of the queue while it runs, written by the gateway."""

from pydantic import Field

from shoal_contract.base import Id
from shoal_contract.events.base import Event


class ShareChangeRequested(Event, type="experiment.share_change_requested", key=("experiment_id",)):
    """A person wants an experiment to have another place among others. None: as it was."""

    experiment_id: Id
    weight: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    priority: int | None = Field(default=None, ge=1, le=99)
    max_slots: int | None = Field(default=None, ge=0)
    """0: no limit."""
    hold: bool | None = None
    """True: nothing of it starts; what runs goes on. False: it may start again."""


class TrialMoveRequested(
    Event, type="experiment.trial_move_requested", key=("experiment_id", "trial_id")
):
    """A person wants a waiting trial to be served before another that waits."""

    experiment_id: Id
    trial_id: Id
    ahead_of: Id
    """The other trial."""
