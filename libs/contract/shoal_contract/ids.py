"""How ids follow from one another. Nothing is drawn here: an id derives from its parent's."""

import hashlib


def trial_id(experiment_id: str, number: int) -> str:
    """Id of the `number`-th trial (from 0) of an experiment."""
    return f"{experiment_id}-{number}"


def experiment_of_trial(trial_id: str) -> str:
    """Id of the experiment that a trial belongs to."""
    return trial_id.rpartition("-")[0] or trial_id


def allocation_id(trial_id: str, attempt: int) -> str:
    """Id of the allocation that serves the `attempt`-th attempt (from 1) of a trial."""
    return f"{trial_id}-a{attempt}"


def trial_of(allocation_id: str) -> str:
    """Id of the trial that an allocation serves."""
    return allocation_id.rpartition("-a")[0]


def attempt_of(allocation_id: str) -> int:
    """The attempt that an allocation serves.

    >>> attempt_of(allocation_id("e-a3-0", 2))
    2
    """
    return int(allocation_id.rpartition("-a")[2])


def experiment_of(allocation_id: str) -> str:
    """Id of the experiment that an allocation belongs to.

    >>> experiment_of(allocation_id(trial_id("e", 3), 2))
    'e'
    """
    return experiment_of_trial(trial_of(allocation_id)) or allocation_id


def run_id(allocation_id: str, node_rank: int) -> str:
    """Id of the run: one allocation's processes on the `node_rank`-th of its nodes."""
    return f"{allocation_id}-r{node_rank}"


def node_rank_of(run_id: str) -> int:
    """On which of its allocation's nodes a run is.

    >>> node_rank_of(run_id("e-0-a1", 3))
    3
    """
    return int(run_id.rpartition("-r")[2])


def shard_of(experiment_id: str, shards: int) -> int:
    """Which of `shards` parts (from 0) an experiment belongs to."""
    digest = hashlib.blake2b(experiment_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards


def event_id(decider: str, cause_id: str, index: int) -> str:
    """Id of the `index`-th event that `decider` derives from the message `cause_id`.

    The same message always yields the same ids, so what is appended twice is seen to be the same.
    """
    digest = hashlib.blake2b(f"{decider}\0{cause_id}\0{index}".encode(), digest_size=12)
    return digest.hexdigest()
