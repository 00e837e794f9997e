"""The `searcher` section of a Determined experiment file, with its older forms.

https://docs.determined.ai/latest/reference/training/experiment-config-reference.html#searcher
"""

from collections.abc import Mapping
from typing import Any

from shoal.migrate.notes import Section

Row = dict[str, Any]
_OWN_UNITS = ("batches", "epochs", "records")
_HALVING = ("max_trials", "max_concurrent_trials", "divisor", "stop_once")
_GONE = {
    "budget": "say max_trials",
    "source_checkpoint_uuid": "it is a checkpoint of the other platform",
    "train_stragglers": "whoever is not promoted is paused",
    "unit": "custom searches count in units of time_metric",
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "single": (),
    "random": ("max_trials", "max_concurrent_trials"),
    "grid": ("max_concurrent_trials",),
    "async_halving": (*_HALVING, "num_rungs"),
    "adaptive_asha": (*_HALVING, "mode", "max_rungs", "bracket_rungs"),
    "pbt": ("population_size",),
    "custom": ("max_concurrent_trials",),
}
"""The fields of each method that mean the same on both sides."""
_OLD = {"adaptive_simple": "adaptive_asha", "adaptive": "adaptive_asha",
        "sync_halving": "async_halving"}  # fmt: skip


def searcher(old: Section, space: Mapping[str, Any], records_per_epoch: Any = None) -> Row:
    """Our `searcher` section. `space`: the hyperparameters, for a `global_batch_size`."""
    given = str(old.take("name", "single"))
    name = _OLD.get(given, given)
    if name not in _FIELDS:
        old.say(
            "todo", "name", f"{given!r} is no method that is known here; `random` stands for it"
        )
        name = "random"
    elif name != given:
        old.say("changed", "name", f"{given} is {name} now, which does not wait for stragglers")
    metric = old.take("metric")
    if metric is None:
        old.say("todo", "metric", "say which validation metric decides")
    new: Row = {"name": name, "metric": str(metric or "validation_loss")}
    if (smaller := old.take("smaller_is_better")) is not None:
        new["smaller_is_better"] = smaller
    counted_anew = "time_metric" in old.values or "max_time" in old.values
    rounds = int(old.take("num_rounds", 10)) if name == "pbt" else 1
    new |= _length(old, space, records_per_epoch, rounds)
    new |= {field: old.take(field) for field in _FIELDS[name] if old.values.get(field) is not None}
    if name in ("adaptive_asha", "async_halving"):
        _halving(old, new, counted_anew)
    elif name == "random":
        _trials(old, new, 1)
    elif name == "pbt":
        _pbt(old, new, rounds)
    if (source := old.take("source_trial_id")) is not None:
        old.say("gone", "source_trial_id", f"{source} is a trial of the other platform")
    if name == "custom":
        old.say("todo", "name", "drive it with shoal.Client: create_trial, extend_trial, finish")
    old.drop(_GONE)
    return new


def _length(old: Section, space: Mapping[str, Any], records: Any, rounds: int) -> Row:
    """`max_time`, and `time_metric` where it is not the step."""
    field = "length_per_round" if "length_per_round" in old.values else "max_length"
    length, metric, time = old.take(field), old.take("time_metric"), old.take("max_time")
    if length is not None:
        unit, number = ("batches", length) if isinstance(length, int | float) else _unit(length)
        return _counted(old, field, unit, max(1, int(number)) * rounds, space)
    if time is not None:
        return _counted(old, "time_metric", str(metric or "batches"), max(1, int(time)), space)
    text = "say how long a trial trains, in steps: 1 stands here"
    old.say("todo", "max_time", text + (f" (records_per_epoch was {records})" if records else ""))
    return {"max_time": rounds}


def _unit(length: object) -> tuple[str, float]:
    if isinstance(length, Mapping) and len(length) == 1:
        unit, number = next(iter(length.items()))
        if unit in _OWN_UNITS and isinstance(number, int | float):
            return str(unit), number
    raise ValueError(f"searcher.max_length must be a number of {', '.join(_OWN_UNITS)}")


def _counted(old: Section, field: str, unit: str, number: int, space: Mapping[str, Any]) -> Row:
    batch = space.get("global_batch_size")
    batch = batch.get("val") if isinstance(batch, Mapping) else batch
    if unit == "records" and isinstance(batch, int) and batch > 0:
        old.say(
            "changed", field, f"is counted in batches of {batch}: run.report(step=…) in batches"
        )
        return {"max_time": max(1, number // batch)}
    if unit == "batches":
        old.say("changed", field, "is counted in the script's steps: run.report(step=…) in batches")
        return {"max_time": number}
    if unit in _OWN_UNITS:
        old.say(
            "todo",
            field,
            f"let the script report `{unit}` with its metric: run.report(…, {unit}=…)",
        )
    return {"time_metric": unit, "max_time": number}


def _halving(old: Section, new: Row, counted_anew: bool) -> None:
    if counted_anew and "stop_once" not in new:
        new["stop_once"] = True
        old.say("changed", "stop_once", "is true, as searches with time_metric have it there")
    _trials(old, new, 16)


def _trials(old: Section, new: Row, number: int) -> None:
    if "max_trials" not in new:
        new["max_trials"] = number
        text = f"say how many configurations to try: {number} stands here"
        old.say("todo", "max_trials", text)


def _pbt(old: Section, new: Row, rounds: int) -> None:
    new.setdefault("population_size", 2)
    new["rounds"] = rounds
    replace, explore = old.section("replace_function"), old.section("explore_function")
    for section, field in (
        (replace, "truncate_fraction"),
        (explore, "resample_probability"),
        (explore, "perturb_factor"),
    ):
        if (value := section.take(field)) is not None:
            new[field] = value
    replace.drop({})
    explore.drop({})
