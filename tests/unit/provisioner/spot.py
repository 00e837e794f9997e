"""A pool of V100 spot machines in two regions, and short words for what happens to them."""

from hypothesis import strategies as st
from unit.provisioner.yard import (
    Yard,
    admitted,
    busy,
    demand,
    gone,
    idle,
    removed,
    started,
)

from shoal_contract.config import Resources
from shoal_contract.events import (
    AllocationGranted,
    AllocationProgressed,
    CheckpointSaved,
    DemandChanged,
    Placement,
    PoolChangeRequested,
    PoolDrainRequested,
    PoolResumeRequested,
    Rendezvous,
    RunSettled,
    SearchAccepted,
    SearchCompleted,
    Task,
    TrialCheckpointed,
    TrialInterrupted,
    TrialMeasured,
    TrialRequested,
    TrialStarted,
    Want,
)
from shoal_contract.events import Checkpoint as Saved
from shoal_contract.events.instance import PoolLimits
from shoal_contract.parse import parse_experiment
from shoal_contract.states import Outcome
from shoal_decider import Tick
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.messages import (
    MachineFailed,
    MachineFound,
    MachinePreempted,
    PoolsRead,
)
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.shell.pools import read_prices

A, B, C = "us-central1-a", "us-central1-b", "us-east1-c"
PRICES = read_prices("")
V100 = {"machine_type": "n1-standard-8", "gpu": "nvidia-tesla-v100", "gpu_count": 1}
GCP = {"project": "lab", "service_account": "w@lab", "worker_nats_url": "nats://10.0.0.2:4222"}
KIND = "n1-standard-8-1xnvidia-tesla-v100"
SPOT, LIST = 0.82, 2.86
"""USD an hour of a V100 with its host."""


def spot_pool(**given) -> Pool:
    fields = {"name": "p", "driver": "gcp", "gcp": GCP, "kinds": [V100], "zones": [A, B, C],
              "provisioning": "spot", "max_instances": 8, "max_starting_period": 600}  # fmt: skip
    return Pool(**{**fields, **given})


class SpotDecider(ProvisionerDecider):
    """So that another interpreter can build it without arguments."""

    def __init__(self) -> None:
        budget = {"per_hour": 5, "per_day": 30}
        pool = spot_pool(
            budget=budget, fallback_after=60, deadline_policy="uniform_progress", min_instances=1
        )
        super().__init__([pool], PRICES)


def spot_yard(**given) -> Yard:
    return Yard(spot_pool(**given), prices=PRICES)


def no_stock(number, cause="stock_out"):
    return MachineFailed(pool="p", instance_id=f"p-{number}", reason=cause, cause=cause)


def found(number, **given):
    fields = {"pool": "p", "instance_id": f"p-{number}", "kind": KIND, "zone": A, "spot": True}
    return MachineFound(**{**fields, **given})


def preempted(number, source="pubsub"):
    return MachinePreempted(pool="p", instance_id=f"p-{number}", source=source)


def granted(name, *numbers, slots=1):
    places = [
        Placement(node_id=f"node-{n}", incarnation="i", slots=list(range(slots))) for n in numbers
    ]
    return AllocationGranted(
        experiment_id="e", allocation_id=name, trial_id=name, attempt=1, placements=places,
        rendezvous=Rendezvous(host="h", port=1), at=0,
    )  # fmt: skip


def settled(name, number, outcome=Outcome.COMPLETED):
    return RunSettled(
        experiment_id="e", allocation_id=name, run_id=f"{name}-r0", node_id=f"node-{number}",
        outcome=outcome, reason="",
    )  # fmt: skip


def saved(name):
    return CheckpointSaved(
        experiment_id="e", trial_id=name, allocation_id=name,
        checkpoint=Saved(url="memory://x", step=1, attempt=1),
    )  # fmt: skip


def accepted(seconds=14400.0, total=7200, at=0.0, **given):
    """An experiment of trials of `total` units each, to be done `seconds` after it began."""
    searcher = {"name": "single", "metric": "loss", "max_time": total, **given.pop("searcher", {})}
    fields = {"name": "x", "entrypoint": "x", "searcher": searcher, "deadline": f"{seconds:g}s",
              "resources": {"resource_pool": "p"}, **given.pop("config", {})}  # fmt: skip
    return SearchAccepted(
        experiment_id="e", config=parse_experiment(fields), bundle=None, storage_url="memory://",
        at=at, **{"units": total, **given},
    )  # fmt: skip


def wanted(attempt=1, number=0, total=7200):
    ids = {"experiment_id": "e", "trial_id": f"e-{number}", "attempt": attempt}
    task = Task(
        **ids, entrypoint=["x"], bundle=None, hyperparameters={}, seed=0, environment={},
        metric="loss", smaller_is_better=True, time_metric="step", target=total, checkpoint=None,
        storage_url="memory://",
    )  # fmt: skip
    return TrialRequested(**ids, task=task, resources=Resources(resource_pool="p"))


def begun(attempt=1, number=0):
    ids = {"experiment_id": "e", "trial_id": f"e-{number}"}
    return TrialStarted(**ids, attempt=attempt, slots=1, at=0)


def measured(time, number=0):
    ids = {"experiment_id": "e", "trial_id": f"e-{number}"}
    return TrialMeasured(**ids, step=time, time=time, metric=1.0)


def checkpointed(number=0):
    ids = {"experiment_id": "e", "trial_id": f"e-{number}"}
    return TrialCheckpointed(**ids, checkpoint=Saved(url="memory://x", step=1, attempt=1))


def paced(pace=1.0, attempt=1, number=0):
    name = f"e-{number}-a{attempt}"
    return AllocationProgressed(experiment_id="e", allocation_id=name, at=0, pace=pace)


def interrupted(attempt=1, number=0):
    ids = {"experiment_id": "e", "trial_id": f"e-{number}"}
    return TrialInterrupted(**ids, attempt=attempt, outcome=Outcome.LOST, reason="spot")


N = st.integers(0, 6)
CAUSES = st.sampled_from(["stock_out", "quota", "config"])
BODIES = st.one_of(
    st.lists(st.integers(1, 3), max_size=5).map(lambda sizes: demand(*sizes)),
    *(st.builds(word, N) for word in (started, admitted, idle, busy, removed, gone, preempted)),
    st.builds(no_stock, N, CAUSES),
    st.builds(
        lambda count, slot_type, memory: DemandChanged(
            pool="p",
            wants=[Want(slots=1, count=count, slot_type=slot_type, slot_memory=memory)],
        ),
        N,
        st.sampled_from([None, "V100", "Tesla V100-SXM2-16GB", "P100"]),
        st.sampled_from([None, 16, 40]),
    ),
    st.builds(found, N, spot=st.booleans(), zone=st.sampled_from([A, B])),
    st.builds(lambda n, m: granted(f"t-{n}", m, m), N, N),
    st.builds(lambda n, m, o: settled(f"t-{n}", m, o), N, N, st.sampled_from(Outcome)),
    st.builds(lambda n: saved(f"t-{n}"), N),
    st.builds(
        lambda end, at, money: accepted(end, at=at, searcher={"budget": {"money": money}}),
        st.sampled_from([7300.0, 20000.0]),
        st.sampled_from([0.0, 1e6]),
        st.sampled_from([0.01, 100.0]),
    ),
    st.builds(lambda n, m: wanted(n + 1, m), N, N),
    st.builds(lambda n, m: begun(n + 1, m), N, N),
    st.builds(lambda n, m: paced(1.0 + m, n + 1, m), N, N),
    st.builds(lambda n, m: measured(600 * n, m), N, N),
    *(st.builds(lambda n, word=word: word(number=n), N) for word in (checkpointed, interrupted)),
    st.builds(lambda n, m: granted(f"e-{n}-a1", m), N, N),
    st.just(SearchCompleted(experiment_id="e", reason="done")),
    st.builds(
        lambda mode, most, reset: PoolChangeRequested(
            pool="p", changes=PoolLimits(mode=mode, max_instances=most), reset=reset
        ),
        st.sampled_from([None, "act", "observe"]),
        st.sampled_from([None, 0, 1, 3]),
        st.booleans(),
    ),
    st.sampled_from([PoolDrainRequested(pool="p"), PoolResumeRequested(pool="p"), PoolsRead()]),
    st.just(Tick()),
)
