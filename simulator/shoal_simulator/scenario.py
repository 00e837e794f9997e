"""A described cluster at one moment, as `shoal plan` reads it, and what one pass decides."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shoal_contract.parse import plain


class PlanError(ValueError):
    """A scenario that cannot be read or contradicts itself. The text says what to mend."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(_Part):
    """A machine."""

    id: str
    slots: int = Field(ge=0)
    gpu: str = "V100"
    max_cpu_tasks: int = Field(default=100, ge=0)
    enabled: bool = True


class Group(_Part):
    """An experiment."""

    id: str
    weight: float = Field(default=1, gt=0)
    max_slots: int | None = Field(default=None, ge=1)
    priority: int = Field(default=42, ge=1, le=99)


class Work(_Part):
    """A task that waits, or runs `on` nodes."""

    id: str
    group: str | None = None
    slots: int = Field(ge=0)
    submitted: float | None = None
    on: dict[str, int] | None = None
    preemptible: bool = True
    avoid: list[str] = Field(default_factory=list)
    gpu: str | None = None
    single_node: bool = False
    steps: int = Field(default=1, ge=1)
    """How many it is to train."""
    step: int = Field(default=0, ge=0)
    """Running: how far it is."""
    speed: float | None = Field(default=None, gt=0)
    """Running: steps a second, as measured. It tells how long others of its group and size take."""
    unsaved: float | None = Field(default=None, ge=0)
    """Running: seconds since its newest checkpoint; left out: it has none."""


class Scenario(_Part):
    """One cluster at one moment."""

    about: str = ""
    """What it shows. Not read, as `expect` is not."""
    expect: dict[str, object] = Field(default_factory=dict)
    """What should be decided."""
    policy: Literal["fifo", "fair_share", "priority"] = "fifo"
    fit: Literal["best", "worst"] = "best"
    preemption: bool = True
    nodes: list[Node]
    groups: list[Group] = Field(default_factory=list)
    tasks: list[Work] = Field(default_factory=list)


class Answer(BaseModel):
    """What one pass decides."""

    allocate: dict[str, dict[str, int]]
    """Task that starts to node to slots."""
    release: list[str]
    """Tasks that must yield."""
    pending: dict[str, str]
    """Task to why it waits."""


def read(path: Path) -> Scenario:
    """A scenario file. Raises PlanError."""
    try:
        return Scenario.model_validate_json(path.read_text())
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise PlanError(f"{path}: {place}: {plain(first['msg'])}") from error


def to_json(answer: Answer) -> str:
    """The answer in the form of a scenario's `expect`."""
    found = {"allocated_tasks": list(answer.allocate), **answer.model_dump()}
    return json.dumps(found, indent=2, ensure_ascii=False)


def sound(scenario: Scenario) -> None:
    """Raises PlanError if the scenario contradicts itself."""
    nodes = {node.id for node in scenario.nodes}
    groups = {group.id for group in scenario.groups}
    for kind, ids in (
        ("nodes", [node.id for node in scenario.nodes]),
        ("groups", [group.id for group in scenario.groups]),
        ("tasks", [task.id for task in scenario.tasks]),
    ):
        if len(set(ids)) < len(ids):
            raise PlanError(f"{kind}: two have the same id")
    for task in scenario.tasks:
        if task.group is not None and task.group not in groups:
            raise PlanError(f"task {task.id}: there is no group {task.group!r}")
        if not task.on:
            continue
        lost = [node for node in task.on if node not in nodes]
        if lost:
            raise PlanError(f"task {task.id}: there is no node {lost[0]!r}")
        if sum(task.on.values()) != task.slots:
            raise PlanError(f"task {task.id}: it runs on other than its {task.slots} slots")
