"""The names of all read models in Redis. Each starts with `shoal:`."""

PREFIX = "shoal:"
EXPERIMENTS = PREFIX + "experiments"
NODES = PREFIX + "nodes"
INSTANCES = PREFIX + "instances"
ALLOCATIONS = PREFIX + "allocations"
QUEUE = PREFIX + "queue"


def experiment(experiment_id: str) -> str:
    """The row of an experiment."""
    return f"{PREFIX}experiment:{experiment_id}"


def trials(experiment_id: str) -> str:
    """The trials of an experiment, in the order of their proposal."""
    return f"{PREFIX}experiment:{experiment_id}:trials"


def states(experiment_id: str) -> str:
    """The state of each trial of an experiment."""
    return f"{PREFIX}experiment:{experiment_id}:states"


def trial(trial_id: str) -> str:
    """The row of a trial."""
    return f"{PREFIX}trial:{trial_id}"


def at_rung(rung: int) -> str:
    """The field of a trial's row that holds its metric at a rung."""
    return f"rung_{rung}"


def metrics(trial_id: str, group: str) -> str:
    """The reports of a trial; `group` is `validation` or `training`."""
    return f"{PREFIX}trial:{trial_id}:{group}"


def checkpoints(trial_id: str) -> str:
    """The checkpoints of a trial."""
    return f"{PREFIX}trial:{trial_id}:checkpoints"


def node(node_id: str) -> str:
    """The row of a node."""
    return f"{PREFIX}node:{node_id}"


def instance(instance_id: str) -> str:
    """The row of an instance."""
    return f"{PREFIX}instance:{instance_id}"


def applied(stream: str) -> str:
    """The sequence of the last event of a stream that is in the read models."""
    return f"{PREFIX}applied:{stream}"


def idempotency(owner: str, key: str) -> str:
    """What an `Idempotency-Key` was used for."""
    return f"{PREFIX}idempotency:{owner}:{key}"
