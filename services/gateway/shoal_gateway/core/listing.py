"""Which experiments a list shows, and in which order. Pure."""

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


def place(row: Mapping[str, Any], sort: str) -> tuple[bool, Any, str]:
    """Where an experiment stands in a list that is sorted by a name of `SORTS`, from the least up.
    Those without the field come after all others."""
    value = row.get(SORTS[sort.removeprefix("-")])
    if isinstance(value, str):
        value = value.casefold()
    missing = value is None
    return (missing is not sort.startswith("-"), 0 if missing else value, row["experiment_id"])


def words_of(text: str) -> tuple[str, ...]:
    """The words of a search."""
    return tuple(text.casefold().split())


def _said(row: Mapping[str, Any]) -> str:
    parts = (row.get(name) or "" for name in ("experiment_id", "name", "description", "notes"))
    return "\n".join((*parts, *(row.get("labels") or ()))).casefold()
