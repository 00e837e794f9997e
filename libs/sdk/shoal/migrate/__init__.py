"""Experiment files of other platforms, made into ours. Pure."""

from shoal.migrate.determined import migrate as migrate
from shoal.migrate.notes import Note as Note

__all__ = ["Note", "migrate"]
