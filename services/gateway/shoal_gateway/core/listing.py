"""Which experiments and trials a list shows, and in which order. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

FIELDS = (
    "experiment_id", "name", "description", "labels", "notes", "owner", "workspace", "state",
    "project_id", "archived", "submitted_at", "ended_at",
)  # fmt: skip
"""Fields of a row that filters and orders look at."""
SORTS = {
    "submitted": "submitted_at", "ended": "ended_at", "name": "name", "state": "state",
    "owner": "owner",
}  # fmt: skip
"""What a list can be sorted by, and the field that says it."""
NEWEST = "-submitted"
TRIAL_SORTS = ("number", "metric", "best")
"""What trials can be sorted by."""
Archived = Literal["false", "true", "any"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the experiments of a list have in common. What is empty lets all pass."""

    states: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """All of them."""
    name: str = ""
    """A part of it, in capitals or not."""
    owner: str | None = None
    workspace: str | None = None
    projects: frozenset[str] | None = None
    """Ids: one of them; None: any."""
    words: tuple[str, ...] = ()
    """All of them, each in the id, name, description, labels or notes."""
    archived: Archived = "false"

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether an experiment, by its `FIELDS`, is wanted."""
        archived = "true" if row.get("archived") else "false"
        labels = row.get("labels") or ()
        return (
            self.archived in ("any", archived)
            and (not self.states or row.get("state", "active") in self.states)
            and all(label in labels for label in self.labels)
            and self.name.casefold() in row.get("name", "").casefold()
            and self.owner in (None, row.get("owner"))
            and self.workspace in (None, row.get("workspace"))
            and (self.projects is None or row.get("project_id", "default") in self.projects)
            and all(word in _said(row) for word in self.words)
        )


def place(value: Any, name: str, *, descending: bool) -> tuple[bool, Any, str]:
    """Where what has this id stands in a list that is sorted by a value: without one it comes after
    all others, in either direction."""
    if isinstance(value, str):
        value = value.casefold()
    missing = value is None
    return (missing is not descending, 0 if missing else value, name)


def trial_value(trial: Mapping[str, Any], sort: str) -> Any:
    """What a trial, as readers get it, is sorted by."""
    name = sort.removeprefix("-")
    return (trial["best"] or {}).get("metric") if name == "best" else trial[name]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a search."""
    return tuple(text.casefold().split())


def _said(row: Mapping[str, Any]) -> str:
    parts = (row.get(name) or "" for name in ("experiment_id", "name", "description", "notes"))
    return "\n".join((*parts, *(row.get("labels") or ()))).casefold()
