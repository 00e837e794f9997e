"""What someone may do, in a workspace or in the whole cluster."""

from enum import StrEnum


class Role(StrEnum):
    """Each role may do what those before it may."""

    VIEWER = "viewer"
    """Look."""
    EDITOR = "editor"
    """Submit experiments, change and end them."""
    ADMIN = "admin"
    """Say who may do what, and keep secrets."""

    def covers(self, other: "Role") -> bool:
        """Whether whoever has this role may do what `other` may."""
        return RANKS[self] >= RANKS[other]


RANKS = {role: number for number, role in enumerate(Role)}
