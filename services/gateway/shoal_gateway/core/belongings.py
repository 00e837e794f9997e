"""The names in Redis of all that belongs to an experiment, with `*` for its id."""

from dataclasses import dataclass

from shoal_contract.subjects import TRACKED, TRAINING, VALIDATION
from shoal_gateway.core import keys

ANY = "*"
POINT_STREAMS = (VALIDATION, TRAINING, TRACKED)
"""The streams whose events are metric points."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """What goes with experiments of one kind."""

    listed: str
    """The ordered set of all of them."""
    fields: tuple[str, ...]
    """Rows in which each has a field."""
    own: tuple[str, ...]
    members: str
    """The ordered set of its members."""
    each: tuple[str, ...]
    """What goes with a member; `*` is the member's id here."""


_NAMES = [stream.name for stream in POINT_STREAMS]
_FIELDS = (*map(keys.points_held, _NAMES), *map(keys.points_filed, _NAMES))
_LISTS = tuple(keys.points(name, ANY) for name in _NAMES)
EXPERIMENT = Belongings(
    listed=keys.EXPERIMENTS,
    fields=(keys.SHARES, *_FIELDS),
    own=(
        keys.experiment(ANY),
        keys.trials(ANY),
        keys.states(ANY),
        keys.state_counts(ANY),
        keys.tracked_within(ANY),
        *_LISTS,
    ),
    members=keys.trials(ANY),
    each=(
        keys.trial(ANY),
        keys.runs(ANY),
        keys.checkpoints(ANY),
        keys.checkpoint_changes(ANY),
    ),
)
TRACKED_EXPERIMENT = Belongings(
    listed=keys.TRACKED,
    fields=_FIELDS,
    own=(keys.tracked(ANY), keys.tracked_runs(ANY), *_LISTS),
    members=keys.tracked_runs(ANY),
    each=(keys.tracked_run(ANY), keys.tracked_params(ANY), keys.tracked_tags(ANY)),
)
"""Of those of MLflow's kind."""
