"""How a search stands: its brackets and rungs, from the rows of the experiment and its trials.
Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from shoal_contract.states import TrialState
from shoal_gateway.core import keys
from shoal_gateway.core.rows import Row, smaller_is_better


def search(experiment: Row, trials: Sequence[Row]) -> Row:
    """The state of a search. Both are rows as they are stored; `trials` are all of them."""
    searcher = experiment["config"]["searcher"]
    plans: list[Row] = experiment.get("brackets") or []
    smaller = smaller_is_better(experiment)
    count = max([len(plans), *(row.get("bracket", 0) + 1 for row in trials)])
    return {
        "experiment_id": experiment["experiment_id"],
        "state": experiment.get("state", "active"),
        "closing": experiment.get("closing"),
        "method": searcher["name"],
        "metric": searcher["metric"],
        "smaller_is_better": smaller,
        "time_metric": searcher["time_metric"],
        "max_time": searcher["max_time"],
        "units": sum(_trained(row, plans) for row in trials),
        "expected_units": experiment.get("units"),
        "trials": len(trials),
        "sampler": _sampler(experiment),
        "brackets": [
            _bracket(
                plans[number] if number < len(plans) else {},
                [row for row in trials if row.get("bracket", 0) == number],
                smaller,
            )
            for number in range(count)
        ],
    }


def reached(row: Mapping[str, Any], rung: int) -> str | None:
    """The field with a trial's result at a rung: that of the next rung reported, if its reports
    leapt over this one; None if it was not measured there."""
    if rung <= row.get("passed", -1):
        return None
    fields = map(keys.at_rung, range(rung, row.get("rung", -1) + 1))
    return next((field for field in fields if field in row), None)


def _bracket(plan: Row, trials: Sequence[Row], smaller: bool) -> Row:
    return {
        "max_trials": plan.get("max_trials"),
        "max_concurrent_trials": plan.get("max_concurrent_trials"),
        "trials": Counter(row["state"] for row in trials),
        "rungs": [
            _rung(number, target, trials, smaller)
            for number, target in enumerate(plan.get("rungs", []))
        ],
    }


def _rung(number: int, target: int, trials: Sequence[Row], smaller: bool) -> Row:
    results = [(row, row[field]) for row in trials if (field := reached(row, number)) is not None]
    finite = [(row["trial_id"], value) for row, value in results if value is not None]
    best = (min if smaller else max)(finite, key=lambda found: found[1], default=None)
    paused = [row for row in trials if row["state"] == TrialState.PAUSED.value]
    return {
        "target": target,
        "results": len(results),
        "paused": sum(row.get("rung") == number for row in paused),
        "best": best and {"trial_id": best[0], "metric": best[1]},
    }


def _trained(row: Row, plans: Sequence[Row]) -> int:
    """Units that a trial trained by itself: a copy begins where the other was."""
    passed, bracket = row.get("passed", -1), row.get("bracket", 0)
    rungs = plans[bracket]["rungs"] if bracket < len(plans) else []
    begun = rungs[passed] if 0 <= passed < len(rungs) else 0
    return max(0, int(row.get("time") or 0) - begun)


def _sampler(experiment: Row) -> Row | None:
    name = experiment["config"]["searcher"].get("sampler", {}).get("name")
    if name is None:
        return None
    told = experiment.get("proposed", {})
    return {
        "name": name,
        "known": told.get("known"),
        "asked_at": told.get("at"),
        "failures": int(experiment.get("sampler_failures", 0)),
        "failure": experiment.get("sampler_failure"),
    }
