"""Finds what an experiment starts from: results of earlier ones, a trial's newest checkpoint."""

import asyncio
import logging

from shoal_bus.bus import Bus
from shoal_bus.history import read_all
from shoal_contract import subjects
from shoal_contract.events import (
    Event,
    PastResult,
    SearchAccepted,
    TrialCheckpointed,
    TrialCreated,
    TrialMeasured,
)
from shoal_contract.searchers import Sampled
from shoal_searcher.core.fronts import fronts
from shoal_searcher.core.messages import Found
from shoal_searcher.core.sampling import HISTORY, sources
from shoal_searcher.core.state import Experiment

log = logging.getLogger(__name__)


class Warmth:
    """Reads the searcher's own journal, in which earlier experiments stay."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def find(self, experiment: Experiment) -> Found | None:
        """What the experiment starts from; None if it needs nothing, or has it.

        Raises nats.errors.Error or OSError while the server is away.
        """
        if experiment.warmed or not sources(experiment):
            return None
        searcher, results = experiment.config.searcher, list[PastResult]()
        for earlier in searcher.warm_start if isinstance(searcher, Sampled) else ():
            found = await self._results(earlier, experiment)
            if found is None:
                return Found(
                    experiment_id=experiment.experiment_id,
                    missing=f"warm_start: there is no experiment {earlier} with the"
                    f" {'metrics' if searcher.objectives else 'metric'}"
                    f" {', '.join(name for name, _ in searcher.directions)}",
                )
            results += found
        checkpoint = None
        if searcher.source_trial_id is not None:
            events = await self._events("trial.checkpointed", searcher.source_trial_id)
            saved = [e.checkpoint for e in events if isinstance(e, TrialCheckpointed)]
            if not saved:
                return Found(
                    experiment_id=experiment.experiment_id,
                    missing=f"source_trial_id: trial {searcher.source_trial_id} has no checkpoint",
                )
            checkpoint = saved[-1]
        return Found(
            experiment_id=experiment.experiment_id,
            results=await asyncio.to_thread(_furthest, experiment, results),
            checkpoint=checkpoint,
        )

    async def _results(self, earlier: str, experiment: Experiment) -> list[PastResult] | None:
        """Those that it has in every metric of the experiment; None: it had not all of them."""
        wanted = [name for name, _ in experiment.config.searcher.directions]
        accepted = await self._events("search.accepted", earlier)
        searchers = [e.config.searcher for e in accepted if isinstance(e, SearchAccepted)]
        known = [name for name, _ in searchers[0].directions] if searchers else []
        if not set(wanted) <= set(known):
            return None
        created = {
            e.trial_id: e.hyperparameters
            for e in await self._events("trial.created", earlier)
            if isinstance(e, TrialCreated)
        }
        found = []
        for e in await self._events("trial.measured", earlier):
            if not isinstance(e, TrialMeasured) or e.rung is None or e.trial_id not in created:
                continue
            measured = dict(zip(known, (e.metric, *e.objectives), strict=False))
            values = [v for name in wanted if (v := measured.get(name)) is not None]
            if len(values) == len(wanted):
                found.append(
                    PastResult(
                        hyperparameters=created[e.trial_id],
                        time=e.time,
                        metric=values[0],
                        objectives=values[1:],
                    )
                )
        return found

    async def _events(self, kind: str, id: str) -> list[Event]:
        """The events of a type of an experiment, or of a trial, in their order."""
        keys = (id.rpartition("-")[0], id) if kind == "trial.checkpointed" else (id,)
        if not all(keys):
            return []  # no trial's id is like that
        envelopes = await read_all(self._bus, subjects.SEARCH, [subjects.all_of(kind, *keys)])
        return [envelope.event for envelope in envelopes]


def _furthest(experiment: Experiment, results: list[PastResult]) -> list[PastResult]:
    """As many as a sampler learns from: those that were measured latest, of these the best."""
    at: dict[int, dict[int, list[float]]] = {}
    for number, past in enumerate(results):
        costs = experiment.costs((past.metric, *past.objectives))
        at.setdefault(past.time, {})[number] = costs
    found: list[PastResult] = []
    for time in sorted(at, reverse=True):
        if len(found) < HISTORY:
            found += [results[number] for front in fronts(at[time]) for number in front]
    return found[:HISTORY]
