"""Configs that are made from those of other experiments. Pure."""

from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]
_SINGLE = ("metric", "smaller_is_better", "time_metric", "objectives")
"""Fields of any search that one of a single trial has as well."""


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> Config:
    """A config with changes, as a JSON Merge Patch (RFC 7396): null takes a field away.

    >>> changed({"name": "a", "searcher": {"name": "grid"}}, {"searcher": {"max_time": 3}})
    {'name': 'a', 'searcher': {'name': 'grid', 'max_time': 3}}
    """
    found = dict(config)
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, Mapping):
            inner = found.get(name)
            found[name] = changed(inner if isinstance(inner, Mapping) else {}, value)
        else:
            found[name] = value
    return found


def continued(
    config: Mapping[str, Any],
    trial_id: str,
    hyperparameters: Mapping[str, Any],
    max_time: int | None,
) -> Config:
    """The config of an experiment of one trial, that goes on from another's newest checkpoint.
    `max_time` None: as long as the other."""
    old = config["searcher"]
    searcher = {name: old[name] for name in _SINGLE if name in old}
    searcher |= {"name": "single", "source_trial_id": trial_id}
    searcher["max_time"] = max_time or old["max_time"]
    return {
        **config,
        "searcher": searcher,
        "hyperparameters": dict(hyperparameters),
        "constraints": [],
    }
