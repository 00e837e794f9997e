"""A whole cluster in virtual time: the real searcher, scheduler, provisioner and worker cores."""

import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shoal_contract.config import ExperimentConfig
from shoal_contract.events import (
    Event,
    ExperimentSubmitted,
    InstanceRequested,
    InstanceStopping,
    NodeLeft,
    Slot,
)
from shoal_contract.parse import parse_experiment
from shoal_provisioner.core.decider import ProvisionerDecider
from shoal_provisioner.core.messages import (
    MachineFailed,
    MachineGone,
    MachinePreempted,
    MachineStarted,
)
from shoal_provisioner.core.pools import Pool
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.messages import NodeSilent
from shoal_scheduler.core.pools import Pools
from shoal_searcher.core.decider import SearcherDecider
from shoal_searcher.core.messages import Found
from shoal_searcher.core.sampling import sources
from shoal_searcher.shell.samplers import answer
from shoal_searcher.shell.sampling import asks
from shoal_simulator.machines import Node, Pace, Training, quality, speed
from shoal_simulator.watch import PERIODS, Watch
from shoal_simulator.world import Clock, Faults, Network, Service

HEARD: dict[str, tuple[str, ...]] = {
    "searcher": (
        "experiment.", "metric.validation", "checkpoint.saved", "allocation.granted",
        "allocation.ended", "instance.experiment_budget_crossed",
    ),
    "scheduler": (
        "experiment.", "trial.", "node.", "run.exited", "metric.validation", "checkpoint.saved",
    ),
    "provisioner": (
        "pool.", "demand.", "allocation.granted", "allocation.run_settled",
        "allocation.progressed", "checkpoint.saved", "search.", "trial.",
    ),
}  # fmt: skip


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Slots(_Section):
    model: str = "cpu"
    memory: int = Field(default=0, ge=0)
    """GB of each slot; 0: not known."""

    def slot(self, number: int) -> Slot:
        """One of them."""
        kind = "cpu" if self.model == "cpu" else "cuda"
        return Slot(number=number, kind=kind, model=self.model, memory=self.memory * 10**9)


class Nodes(_Slots):
    """Machines that are there from the beginning."""

    pool: str = "default"
    count: int = Field(ge=1)
    slots: int = Field(ge=1)


class Cloud(_Slots):
    """How a pool's machines come and go."""

    start_seconds: float = Field(default=60, ge=0)
    notice: float = Field(default=30, ge=0)
    """Seconds between the word of a preemption and the end."""
    price: float = Field(default=1.0, ge=0)
    """Of a machine, an hour."""
    capacity: list[tuple[float, int]] = Field(default_factory=list)
    """Machines that can be had from a second on: `[[0, 80], [3600, 60]]`; none: any number. In a
    pool with `provisioning: spot` it is about spot machines alone."""

    def at(self, now: float) -> int:
        """Machines that can be had at a time."""
        known = [count for since, count in self.capacity if since <= now]
        return known[-1] if known else 10**9


class Job(_Section):
    """Experiments that are submitted."""

    at: float = Field(default=0, ge=0)
    count: int = Field(default=1, ge=1)
    every: float = Field(default=0, ge=0)
    """Seconds between one and the next."""
    seconds_per_unit: float | dict[str, float] = 1.0
    """Of training, on one slot; by the slots' model if they differ."""
    scaling: float = Field(default=1.0, ge=0, le=1)
    """A gang of n slots is n to the power of this as fast as one slot is: 1 in proportion, 0.76 is
    24 times on 64."""
    config: dict[str, Any]


class Scenario(_Section):
    """What `shoal simulate` reads."""

    seed: int = 0
    until: float = Field(default=30 * 86400, gt=0)
    """Seconds after which it ends, whatever is left."""
    nodes: list[Nodes] = Field(default_factory=list)
    pools: list[Pool] = Field(default_factory=list)
    clouds: dict[str, Cloud] = Field(default_factory=dict)
    scheduler: Pools = Pools()
    experiments: list[Job]
    faults: Faults = Faults()
    start_seconds: float = Field(default=2.0, ge=0)
    """From an order to running ranks."""
    checkpoint_every: int = Field(default=1, ge=1)
    """Units of training."""
    tick: float = Field(default=1.0, gt=0)
    """Seconds between the deciders' ticks."""


class Report(BaseModel):
    """What came of it. Times in seconds."""

    seconds: float
    experiments: int
    finished: int
    completed: int
    mean_completion: float | None
    p95_completion: float | None
    mean_wait: float | None
    utilisation: float
    """Slots that were held, of those that were there."""
    fragmentation: float
    """Slots that nobody held while a gang waited that needs no more than those of its pool, of
    all."""
    fairness: float | None
    """How alike the parts of their time are in which experiments held slots: 1, all alike, to 1
    over their number (Jain, Chiu, Hawe: A quantitative measure of fairness, 1984)."""
    preemptions: int
    losses: int
    units: int
    """Trained, those that were trained again included."""
    machines: int
    """That a cloud started."""
    cost: float
    events: int
    decisions: int


class Simulation:
    """One run of a scenario. `watch` raises BrokenPromiseError as soon as a promise is broken."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.clock, self.watch = Clock(), Watch(budgets=_budgets(scenario.pools))
        self._rng = random.Random(scenario.seed)  # noqa: S311 - reproducible, not secret
        self.network = Network(self.clock, self._rng, scenario.faults)
        self.network.watchers.append(self.watch)
        self._speeds: dict[str, tuple[Any, float]] = {}
        pace = Pace(start=scenario.start_seconds, checkpoint_every=scenario.checkpoint_every)
        self.training = Training(self.network, pace, speed(self._speeds), quality)
        self._nodes: dict[str, Node] = {}
        self._born: dict[str, float] = {}
        self._ends: dict[str, float] = {}
        self._sure: set[str] = set()
        """Machines on demand in pools of spot machines: there are enough, and they stay."""
        self._spot = {pool.name for pool in scenario.pools if pool.provisioning == "spot"}
        pools = [pool.model_copy(update={"driver": "simulated"}) for pool in scenario.pools]
        self.searcher = Service(SearcherDecider(), self.network, _wants("searcher"))
        self.scheduler = Service(
            SchedulerDecider(scenario.scheduler), self.network, _wants("scheduler")
        )
        self.provisioner = Service(
            ProvisionerDecider(pools), self.network, _wants("provisioner"), self._provide
        )
        self.services: list[Service[Any]] = [self.searcher, self.scheduler, self.provisioner]
        self.network.subscribe(lambda event: isinstance(event, NodeLeft), self._left)

    def run(self) -> Report:
        """Play it to its end."""
        scenario, clock = self.scenario, self.clock
        for number, group in enumerate(scenario.nodes):
            for n in range(group.count):
                node = self._node(f"{group.pool}-n{number}-{n}", group.pool, group.slots, group)
                clock.at(0.0, node.join)
                self._may_die(node)
        for number, job in enumerate(scenario.experiments):
            config = parse_experiment(job.config)
            for n in range(job.count):
                clock.at(job.at + n * job.every, self._submission(f"e{number}-{n}", config, job))
        for service in self.services:
            self._ticks(service)
            self._may_crash(service)
        for pool in scenario.clouds:
            for since, _ in scenario.clouds[pool].capacity:
                clock.at(since, lambda pool=pool: self._shrink(pool))  # type: ignore[misc]
        expected = sum(job.count for job in scenario.experiments)
        clock.run(scenario.until, lambda: len(self.watch.finished) == expected)
        self.watch.close(clock.now)
        return self._report()

    def _submission(self, id: str, config: ExperimentConfig, job: Job) -> Callable[[], None]:
        def submit() -> None:
            self._speeds[id] = job.seconds_per_unit, job.scaling
            seeded = config.model_copy(update={"seed": self.scenario.seed})
            event = ExperimentSubmitted(experiment_id=id, config=seeded, storage_url="memory://")
            self.network.publish([event])

        return submit

    def _ticks(self, service: Service[Any]) -> None:
        service.tick()
        if service is self.searcher and service.up:
            self._sample()
        self.clock.after(self.scenario.tick, lambda: self._ticks(service))

    def _sample(self) -> None:
        """Answer for the searcher's samplers. There is nothing earlier to start from."""
        for experiment in list(self.searcher.state.experiments.values()):
            if sources(experiment) and not experiment.warmed:
                self.searcher.tell(Found(experiment_id=experiment.experiment_id))
            elif (question := asks(experiment)) is not None:
                self.searcher.tell(question.reply(answer(question)))

    def _may_crash(self, service: Service[Any]) -> None:
        faults, rng = self.scenario.faults, self._rng
        if not faults.crash_every:
            return

        def crash() -> None:
            service.crash()
            self.clock.after(rng.uniform(*faults.downtime), service.restart)
            self._may_crash(service)

        self.clock.after(rng.expovariate(1 / faults.crash_every), crash)

    def _node(self, node_id: str, pool: str, slots: int, kind: _Slots, **more: Any) -> Node:
        found = [kind.slot(number) for number in range(slots)]
        node = Node(node_id, pool, found, self.training, on_death=self._died, **more)
        self._nodes[node_id] = node
        return node

    def _may_die(self, node: Node) -> None:
        faults, rng = self.scenario.faults, self._rng
        if not faults.node_death_every:
            return

        def die() -> None:
            node.die()
            self.clock.after(rng.uniform(*faults.repair), back)

        def back() -> None:
            if not node.alive:
                node.join()
            self._may_die(node)

        self.clock.after(rng.expovariate(1 / faults.node_death_every), die)

    def _died(self, node: Node) -> None:
        """Its heartbeats stop; the scheduler's shell notices after a while, if it still leads."""
        silent = NodeSilent(
            node_id=node.node_id, incarnation=node.incarnation, seconds=self.training.pace.silence
        )

        def notice() -> None:
            if self.scheduler.up:
                self.scheduler.tell(silent)
            else:
                self.clock.after(1.0, notice)

        self.clock.after(self.training.pace.silence, notice)

    def _provide(self, events: Sequence[Event]) -> None:
        """Do as a cloud does what the provisioner decided."""
        for event in events:
            if isinstance(event, InstanceRequested):
                self._start(event)
            elif isinstance(event, InstanceStopping):
                self._stop(event)

    def _cloud(self, pool: str) -> Cloud:
        return self.scenario.clouds.get(pool, Cloud())

    def _running(self, pool: str) -> list[str]:
        """Machines of those that may be taken back."""
        there = self._born.keys() - self._ends.keys() - self._sure
        return [id for id in self._born if id in there and self._nodes[id].pool == pool]

    def _start(self, event: InstanceRequested) -> None:
        cloud, ids = self._cloud(event.pool), {"pool": event.pool, "instance_id": event.instance_id}
        sure = event.pool in self._spot and not event.spot
        if not sure and len(self._running(event.pool)) >= cloud.at(self.clock.now):
            failed = MachineFailed(**ids, reason="no stock", cause="stock_out")
            self.clock.after(1.0, lambda: self._say(failed))
            return
        id = event.instance_id
        self._born[id] = self.clock.now
        self._sure |= {id} if sure else set()
        node = self._node(id, event.pool, event.slots, cloud, instance_id=id)

        def started() -> None:
            if id not in self._ends:
                self._say(MachineStarted(**ids))
                node.join()

        self.clock.after(cloud.start_seconds, started)

    def _stop(self, event: InstanceStopping) -> None:
        id = event.instance_id
        if id not in self._born or id in self._ends:
            return
        node = self._nodes[id]
        if node.alive:
            node.drain("its machine is stopped", 30.0)
            self.clock.after(30.0, lambda: self._gone(id, "stopped"))
        else:
            self._gone(id, "stopped")

    def _shrink(self, pool: str) -> None:
        """Take machines back, if there are more than can be had."""
        cloud, running = self._cloud(pool), self._running(pool)
        for id in self._rng.sample(running, max(0, len(running) - cloud.at(self.clock.now))):
            self._say(MachinePreempted(pool=pool, instance_id=id, source="poll"))
            self._nodes[id].drain("preempted", cloud.notice)
            self.clock.after(cloud.notice, lambda id=id: self._gone(id, "preempted"))  # type: ignore[misc]

    def _gone(self, id: str, reason: str) -> None:
        if id in self._ends:
            return
        self._ends[id] = self.clock.now
        node = self._nodes[id]
        node.die()
        preempted = reason == "preempted"
        self._say(MachineGone(pool=node.pool, instance_id=id, reason=reason, preempted=preempted))

    def _left(self, _: str, event: Event) -> None:
        """A machine whose worker has left in order is not paid for any longer."""
        node_id = str(getattr(event, "node_id", ""))
        if node_id in self._born:
            self._gone(node_id, "its worker left")

    def _say(self, body: BaseModel) -> None:
        """A driver's answer: asked again for as long as nobody listens."""
        if self.provisioner.up:
            self.provisioner.tell(body)
        else:
            self.clock.after(1.0, lambda: self._say(body))

    def _report(self) -> Report:
        watch, now = self.watch, self.clock.now
        spans = sorted(end - watch.submitted[id] for id, end in watch.finished.items())
        busy = sum(stay.until - stay.since for stay in watch.stays)
        all_slots = watch.slot_seconds or 1.0
        cost = sum(
            (self._ends.get(id, now) - since) / 3600 * self._cloud(self._nodes[id].pool).price
            for id, since in self._born.items()
        )
        return Report(
            seconds=now,
            experiments=len(watch.submitted),
            finished=len(watch.finished),
            completed=sum(state == "completed" for state in watch.outcomes.values()),
            mean_completion=statistics.fmean(spans) if spans else None,
            p95_completion=spans[int(0.95 * (len(spans) - 1))] if spans else None,
            mean_wait=statistics.fmean(watch.waits) if watch.waits else None,
            utilisation=busy / all_slots,
            fragmentation=watch.idle.slot_seconds / all_slots,
            fairness=watch.fairness(),
            preemptions=watch.preemptions,
            losses=watch.losses,
            units=self.training.units,
            machines=len(self._born),
            cost=cost,
            events=watch.events,
            decisions=sum(service.decisions for service in self.services),
        )


def _budgets(pools: Sequence[Pool]) -> dict[str, dict[str, float]]:
    """Pool to what it may spend."""
    money = {pool.name: pool.budget.model_dump(include=set(PERIODS)) for pool in pools}
    return {
        name: {period: limit for period, limit in limits.items() if limit is not None}
        for name, limits in money.items()
    }


def _wants(service: str) -> Callable[[Event], bool]:
    heard = HEARD[service]
    return lambda event: event.type.startswith(heard)
