"""The names of all read models in Redis. Each starts with `shoal:`."""

PREFIX = "shoal:"
GENERATION = PREFIX + "generation"
"""The number of the read models that are read now; the only name here without one in Redis."""
DELETED = PREFIX + "deleted"
"""The experiments that were deleted, numbered as they were; and, once these are known, an empty
name. Nothing is written while that is not there."""
FOLDERS = PREFIX + "folders"
"""Where the files of points are, by stream, if they were written anew with the read models."""
EXPERIMENTS = PREFIX + "experiments"
NODES = PREFIX + "nodes"
INSTANCES = PREFIX + "instances"
MACHINES = PREFIX + "machines"
"""Instances that have not ended, to their pools."""
POOLS = PREFIX + "pools"
COST_DAYS = PREFIX + "cost:days"
ALLOCATIONS = PREFIX + "allocations"
QUEUE = PREFIX + "queue"
"""Attempts that wait for slots."""
WAITING = PREFIX + "waiting"
"""Why each of them waits."""
MOVED = PREFIX + "moved"
"""The places of those that a person moved."""
SAMPLERS = PREFIX + "samplers"
"""How often one failed, all experiments together."""
SHARES = PREFIX + "shares"
"""An experiment's place among others, where a person changed it."""
ASIDE = "aside:"
"""How those fields of a node's row begin that tell of a slot put aside; its number follows."""


def experiment(experiment_id: str) -> str:
    """The row of an experiment."""
    return f"{PREFIX}experiment:{experiment_id}"


def trials(experiment_id: str) -> str:
    """The trials of an experiment, in the order of their proposal."""
    return f"{PREFIX}experiment:{experiment_id}:trials"


def states(experiment_id: str) -> str:
    """The state of each trial of an experiment."""
    return f"{PREFIX}experiment:{experiment_id}:states"


def state_counts(experiment_id: str) -> str:
    """How many trials of an experiment are in each state."""
    return f"{PREFIX}experiment:{experiment_id}:state_counts"


def tracked_within(experiment_id: str) -> str:
    """The experiments of MLflow's kind that trials of an experiment made."""
    return f"{PREFIX}experiment:{experiment_id}:tracked"


def trial(trial_id: str) -> str:
    """The row of a trial."""
    return f"{PREFIX}trial:{trial_id}"


def runs(trial_id: str) -> str:
    """The runs of a trial: each of its attempts."""
    return f"{PREFIX}trial:{trial_id}:runs"


def quota(workspace: str) -> str:
    """What a workspace used of its month's quotas."""
    return f"{PREFIX}workspace:{workspace}:quota"


def at_rung(rung: int) -> str:
    """The field of a trial's row that holds its metric at a rung."""
    return f"rung_{rung}"


def points(stream: str, experiment_id: str = "") -> str:
    """The newest metric points that a stream brought of an experiment."""
    return f"{PREFIX}points:{stream}:{experiment_id}"


def points_held(stream: str) -> str:
    """How many bytes each experiment's newest points have."""
    return f"{PREFIX}points_held:{stream}"


def points_filed(stream: str) -> str:
    """The sequence up to which each experiment's points are in files, and no longer here."""
    return f"{PREFIX}points_filed:{stream}"


def checkpoints(trial_id: str) -> str:
    """The checkpoints of a trial."""
    return f"{PREFIX}trial:{trial_id}:checkpoints"


def checkpoint_changes(trial_id: str) -> str:
    """What became of a trial's checkpoints since they were saved, by their addresses."""
    return f"{PREFIX}trial:{trial_id}:checkpoint_changes"


TRACKED = PREFIX + "tracked"
"""What MLflow calls experiments."""


def tracked(experiment_id: str) -> str:
    """The row of an experiment of MLflow's kind."""
    return f"{PREFIX}tracked:{experiment_id}"


def tracked_runs(experiment_id: str) -> str:
    """Its runs, by their start."""
    return f"{PREFIX}tracked:{experiment_id}:runs"


def tracked_run(run_id: str) -> str:
    """The row of a run that a program logged through MLflow's API."""
    return f"{PREFIX}tracked_run:{run_id}"


def tracked_params(run_id: str) -> str:
    """The parameters of such a run."""
    return f"{PREFIX}tracked_run:{run_id}:params"


def tracked_tags(run_id: str) -> str:
    """The tags of such a run."""
    return f"{PREFIX}tracked_run:{run_id}:tags"


def node(node_id: str) -> str:
    """The row of a node."""
    return f"{PREFIX}node:{node_id}"


def instance(instance_id: str) -> str:
    """The row of an instance."""
    return f"{PREFIX}instance:{instance_id}"


def pool(name: str) -> str:
    """The row of a resource pool."""
    return f"{PREFIX}pool:{name}"


def cost(day: str) -> str:
    """What a day (UTC, as in ISO 8601) cost: sums by pool, kind, experiment and use."""
    return f"{PREFIX}cost:{day}"


def applied(stream: str) -> str:
    """The sequence of the last event of a stream that is in the read models."""
    return f"{PREFIX}applied:{stream}"


def limit(kind: str, name: str) -> str:
    """How often someone asked."""
    return f"{PREFIX}limit:{kind}:{name}"


def login(name: str) -> str:
    """A login that is under way."""
    return f"{PREFIX}login:{name}"
