"""What a person is told about a file that was made into another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["todo", "changed", "gone"]
TITLES: Mapping[Kind, str] = {
    "todo": "To do before it runs",
    "changed": "Means something else now",
    "gone": "Has no counterpart and was left out",
}
"""What each kind of note says, the most urgent first."""


@dataclass(frozen=True, slots=True)
class Note:
    """One field of the old file, and what became of it."""

    kind: Kind
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass(slots=True)
class Section:
    """A mapping of the old file that is used up field by field; what is left is told at the end."""

    values: dict[str, Any]
    path: str = ""
    notes: list[Note] = field(default_factory=list)

    def take(self, name: str, default: Any = None) -> Any:
        """A field's value, which is thereby used; `default` if it is missing or null."""
        value = self.values.pop(name, None)
        return default if value is None else value

    def section(self, name: str) -> "Section":
        """A field that is a mapping; empty if it is missing. Raises ValueError for another."""
        value = self.take(name, {})
        if not isinstance(value, Mapping):
            raise ValueError(f"{self.at(name)} must be a mapping of fields to values")
        return Section(dict(value), self.at(name), self.notes)

    def at(self, name: str) -> str:
        """Where a field of this section is, dotted."""
        return f"{self.path}.{name}" if self.path else name

    def say(self, kind: Kind, name: str, text: str) -> None:
        """Note what became of a field."""
        self.notes.append(Note(kind, self.at(name), text))

    def drop(self, reasons: Mapping[str, str]) -> None:
        """Say of every field that is left why it has no counterpart."""
        for name, value in self.values.items():
            if value is not None:
                self.say("gone", name, reasons.get(name, "is no field that is known here"))
        self.values.clear()
