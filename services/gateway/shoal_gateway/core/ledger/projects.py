"""Projects: experiments of a workspace that belong together. The part of the ledger that is about
them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shoal_contract.events.access import ProjectChanged, ProjectCreated
from shoal_contract.events.base import Event

DEFAULT = "default"
"""The id and the name of the project that each workspace always has."""


@dataclass(frozen=True, slots=True)
class AddProject:
    """Have a project."""

    workspace: str
    project_id: str
    name: str
    description: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class ChangeProject:
    """Call or describe a project differently, let it take no more experiments, or do so again;
    None: it stays."""

    workspace: str
    name: str
    new_name: str | None
    description: str | None
    archived: bool | None


ProjectCommand = AddProject | ChangeProject


@dataclass(slots=True)
class Project:
    """A project. Its id stays, whatever it is called."""

    project_id: str
    name: str
    description: str = ""
    by: str | None = None
    at: float = 0.0
    archived: bool = False


Projects = dict[str, Project]
"""Those of a workspace, by id."""


def first() -> Projects:
    """The projects of a new workspace."""
    return {DEFAULT: Project(DEFAULT, DEFAULT)}


def named(projects: Mapping[str, Project], name: str) -> Project | None:
    """The project that is called so."""
    return next((p for p in projects.values() if p.name == name), None)


def ids_called(workspaces: Iterable[Mapping[str, Project]], name: str) -> frozenset[str]:
    """The ids of all projects of some workspaces that are called so."""
    return frozenset(p.project_id for its in workspaces for p in its.values() if p.name == name)


def decide(projects: Projects, command: ProjectCommand) -> list[Event] | tuple[str, str]:
    """The events that follow from a command; or what is in the way (`taken`, `project`: there is
    none, `default`: it stays as it is) and the project's name."""
    match command:
        case AddProject():
            if command.project_id in projects or named(projects, command.name) is not None:
                return ("taken", command.name)
            return [
                ProjectCreated(
                    workspace=command.workspace,
                    project_id=command.project_id,
                    name=command.name,
                    description=command.description,
                    by=command.by,
                    at=command.at,
                )
            ]
        case ChangeProject():
            return _change(projects, command)


def _change(projects: Projects, command: ChangeProject) -> list[Event] | tuple[str, str]:
    found = named(projects, command.name)
    if found is None:
        return ("project", command.name)
    renamed = command.new_name not in (None, found.name)
    if found.project_id == DEFAULT and (renamed or command.archived):
        return ("default", command.name)
    other = None if command.new_name is None else named(projects, command.new_name)
    if other is not None and other is not found:
        return ("taken", other.name)
    changes = {
        "name": command.new_name,
        "description": command.description,
        "archived": command.archived,
    }
    news = {k: v for k, v in changes.items() if v is not None and v != getattr(found, k)}
    if not news:
        return []
    event = ProjectChanged.model_validate(
        {"workspace": command.workspace, "project_id": found.project_id, **news}
    )
    return [event]


def evolve(projects: Projects, event: ProjectCreated | ProjectChanged) -> None:
    """Change a workspace's projects by an event."""
    match event:
        case ProjectCreated():
            projects[event.project_id] = Project(
                event.project_id, event.name, event.description, event.by, event.at
            )
        case ProjectChanged():
            found = projects[event.project_id]
            found.name = event.name or found.name
            if event.description is not None:
                found.description = event.description
            if event.archived is not None:
                found.archived = event.archived
