"""One pass of the real scheduler over a described cluster: what `shoal plan` prints.

The cluster is told to the scheduler's core as events, the pass is its decision on a Tick. Tasks
without slots are served apart: each node offers them as many places as it may hold.
"""

import re
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from shoal_contract.events import (
    AllocationGranted,
    AllocationProgressed,
    AllocationQueued,
    AllocationReleasing,
    Event,
    NodeAdmitted,
    NodeDraining,
    Placement,
    Rendezvous,
    Slot,
    Task,
)
from shoal_contract.resources import Resources
from shoal_decider import Message, Tick
from shoal_scheduler.core.decider import SchedulerDecider
from shoal_scheduler.core.draft import Draft
from shoal_scheduler.core.explain import explain
from shoal_scheduler.core.forecast import Start, forecast
from shoal_scheduler.core.pools import PoolConfig, Pools
from shoal_scheduler.core.state import State
from shoal_scheduler.core.turn import Turn
from shoal_simulator.scenario import Answer, Node, PlanError, Scenario, Work, read, sound, to_json


def plan(scenario: Scenario) -> Answer:
    """What the scheduler does now. Raises PlanError if the scenario contradicts itself."""
    return _Cluster(scenario).answer()


GPU, CPU = "gpu", "cpu"
_NOW = 1e9
_INTERNAL = re.compile(r"\bt-\d+\b")


class _Cluster:
    """The scenario as the core's state. Ids are numbers there: people's may be any text."""

    def __init__(self, scenario: Scenario) -> None:
        sound(scenario)
        self.scenario = scenario
        gpu = PoolConfig(
            policy=scenario.policy, fit=scenario.fit, preemption=scenario.preemption, min_run=0
        )
        shared = "priority" if scenario.policy == "priority" else "fair_share"
        cpu = PoolConfig(policy=shared, preemption=False, fit=scenario.fit)
        self.decider = SchedulerDecider(Pools(pools={GPU: gpu, CPU: cpu}))
        self.state: State = self.decider.initial()
        self._starts: dict[str, Start] = {}
        self.nodes = {node.id: number for number, node in enumerate(scenario.nodes)}
        self.groups = {group.id: number for number, group in enumerate(scenario.groups)}
        gpus = [node.gpu for node in scenario.nodes] + [t.gpu for t in scenario.tasks if t.gpu]
        self.gpus = {gpu: f"{number}." for number, gpu in enumerate(dict.fromkeys(gpus))}
        for node in scenario.nodes:
            self._node(node)
        order = sorted(range(len(scenario.tasks)), key=lambda n: (self._submitted(n), n))
        for number in order:
            self._task(number)
        for node in scenario.nodes:
            if not node.enabled:
                self._drain(node)

    def answer(self) -> Answer:
        """The pass: a Tick, and more of them if one was not enough for all that starts."""
        allocate: dict[str, dict[str, int]] = {}
        release: list[str] = []
        for asked in count():
            events = self.decider.decide(self.state, Message(f"tick-{asked}", _NOW, Tick()))
            if not events:
                break
            for event in events:
                self._tell(event)
                if isinstance(event, AllocationGranted):
                    allocate[self._name(event.trial_id)] = self._places(event)
                elif isinstance(event, AllocationReleasing):
                    release.append(self._name(event.allocation_id))
        for pool in (GPU, CPU):
            turn = Turn(Draft.of(self.state, _NOW), pool, self.state.index.pools.of(pool))
            self._starts |= forecast(turn, len(self.scenario.tasks))
        pending = {
            task.id: self._why(number)
            for number, task in enumerate(self.scenario.tasks)
            if not task.on and task.id not in allocate
        }
        return Answer(allocate=allocate, release=release, pending=pending)

    def _tell(self, event: Event) -> None:
        self.state = self.decider.evolve(self.state, event)

    def _node(self, node: Node) -> None:
        for pool, places, model in (
            (GPU, node.slots, self.gpus[node.gpu]),
            (CPU, node.max_cpu_tasks, "cpu"),
        ):
            self._tell(
                NodeAdmitted(
                    node_id=f"{pool}-{self.nodes[node.id]}",
                    incarnation="1",
                    pool=pool,
                    host=f"{pool}-{self.nodes[node.id]}",
                    slots=[Slot(number=n, kind="cpu", model=model) for n in range(places)],
                    ports=list(range(places + 1)),
                    instance_id=None,
                )
            )

    def _drain(self, node: Node) -> None:
        for pool in (GPU, CPU):
            self._tell(
                NodeDraining(
                    node_id=f"{pool}-{self.nodes[node.id]}",
                    incarnation="1",
                    instance_id=None,
                    reason="disabled",
                )
            )

    def _submitted(self, number: int) -> float:
        found = self.scenario.tasks[number].submitted
        return float(number) if found is None else found

    def _task(self, number: int) -> None:
        task = self.scenario.tasks[number]
        pool = GPU if task.slots else CPU
        group = next((g for g in self.scenario.groups if g.id == task.group), None)
        name = f"t-{number}"
        experiment = name if group is None or not task.slots else f"g-{self.groups[group.id]}"
        resources = Resources(
            slots_per_trial=max(1, task.slots),
            resource_pool=pool,
            priority=group.priority if group else 42,
            weight=group.weight if group else 1,
            max_slots=group.max_slots if group and task.slots else None,
            slot_type=self.gpus[task.gpu] if task.gpu and task.slots else None,
            single_node=task.single_node,
            avoid_nodes=[f"{pool}-{self.nodes[n]}" for n in task.avoid if n in self.nodes],
            preemptible=task.preemptible,
        )
        self._tell(
            AllocationQueued(
                experiment_id=experiment,
                allocation_id=name,
                trial_id=name,
                task=_task(experiment, name, task.steps),
                resources=resources,
                at=self._submitted(number),
            )
        )
        if task.on:
            self._run(number, pool)

    def _run(self, number: int, pool: str) -> None:
        task = self.scenario.tasks[number]
        placements = []
        for node, slots in (task.on or {}).items():
            name = f"{pool}-{self.nodes[node]}"
            free = self.state.nodes[name].free()
            wanted = slots if task.slots else 1
            if len(free) < wanted:
                raise PlanError(f"task {task.id}: node {node} has not so many slots left")
            placements.append(Placement(node_id=name, incarnation="1", slots=free[:wanted]))
        allocation = self.state.allocations[f"t-{number}"]
        self._tell(
            AllocationGranted(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation.allocation_id,
                trial_id=allocation.trial_id,
                attempt=1,
                placements=placements,
                rendezvous=Rendezvous(host=f"t-{number}", port=0),
                at=self._submitted(number),
            )
        )
        self._progress(number, task)

    def _progress(self, number: int, task: Work) -> None:
        """What is known of how one that runs comes along."""
        if task.speed is None and task.unsaved is None and not task.step:
            return
        allocation = self.state.allocations[f"t-{number}"]
        self._tell(
            AllocationProgressed(
                experiment_id=allocation.experiment_id,
                allocation_id=allocation.allocation_id,
                at=_NOW,
                step=task.step,
                time=task.step,
                speed=task.speed,
                pace=task.speed,
                saved_at=None if task.unsaved is None else _NOW - task.unsaved,
            )
        )

    def _name(self, internal: str) -> str:
        return self.scenario.tasks[int(internal.partition("-")[2])].id

    def _places(self, event: AllocationGranted) -> dict[str, int]:
        found = {}
        for placement in event.placements:
            pool, _, number = placement.node_id.partition("-")
            node = self.scenario.nodes[int(number)]
            found[node.id] = len(placement.slots) if pool == GPU else 0
        return found

    def _why(self, number: int) -> str:
        sentence = explain(self.state, f"t-{number}", self._starts.get(f"t-{number}"))
        for gpu, internal in self.gpus.items():
            sentence = sentence.replace(f" {internal} ", f" {gpu} ")
        return _INTERNAL.sub(lambda found: self._name(found[0]), sentence)


def _task(experiment: str, name: str, steps: int) -> Task:
    return Task(
        experiment_id=experiment,
        trial_id=name,
        attempt=1,
        entrypoint=[experiment],
        bundle=None,
        hyperparameters={},
        seed=0,
        environment={},
        metric="loss",
        smaller_is_better=True,
        time_metric="step",
        target=steps,
        storage_url="file:///dev/null",
        checkpoint=None,
    )


def command(
    file: Annotated[Path, typer.Argument(help="A scenario, as JSON.", show_default=False)],
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell who starts, who yields and who waits, in one pass of the real scheduler."""
    try:
        answer = plan(read(file))
    except PlanError as error:
        typer.echo(f"shoal: {error}", err=True)
        raise typer.Exit(1) from error
    if json_:
        typer.echo(to_json(answer))
        return
    for task, nodes in answer.allocate.items():
        where = ", ".join(f"{node} ({slots})" for node, slots in nodes.items())
        typer.echo(f"{task} starts on {where}.")
    for task in answer.release:
        typer.echo(f"{task} is to yield.")
    for sentence in answer.pending.values():
        typer.echo(sentence)
    if not (answer.allocate or answer.release or answer.pending):
        typer.echo("Nothing starts, nothing yields and nothing waits.")
