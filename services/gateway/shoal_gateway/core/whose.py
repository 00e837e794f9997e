"""Which experiment an event is of."""

from shoal_contract.events import Event
from shoal_contract.ids import experiment_of, experiment_of_trial


def experiment_in(event: Event) -> str | None:
    """The experiment that an event is of, as far as its ids tell."""
    if (found := getattr(event, "experiment_id", None)) is not None:
        return str(found)
    if (trial_id := getattr(event, "trial_id", None)) is not None:
        return experiment_of_trial(str(trial_id))
    allocation_id = getattr(event, "allocation_id", None)
    return None if allocation_id is None else experiment_of(str(allocation_id))
