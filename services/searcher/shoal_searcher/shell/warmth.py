"""Finds what an experiment starts from: results of earlier ones, a trial's newest checkpoint."""

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
                    missing=f"warm_start: there is no experiment {earlier} with the metric"
                    f" {searcher.metric}",
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
            results=_furthest(experiment, results),
            checkpoint=checkpoint,
        )

    async def _results(self, earlier: str, experiment: Experiment) -> list[PastResult] | None:
        accepted = await self._events("search.accepted", earlier)
        metric = experiment.config.searcher.metric
        if not any(
            isinstance(e, SearchAccepted) and e.config.searcher.metric == metric for e in accepted
        ):
            return None
        created = {
            e.trial_id: e.hyperparameters
            for e in await self._events("trial.created", earlier)
            if isinstance(e, TrialCreated)
        }
        return [
            PastResult(hyperparameters=created[e.trial_id], time=e.time, metric=e.metric)
            for e in await self._events("trial.measured", earlier)
            if isinstance(e, TrialMeasured)
            and e.rung is not None
            and e.metric is not None
            and e.trial_id in created
        ]

    async def _events(self, kind: str, id: str) -> list[Event]:
        """The events of a type of an experiment, or of a trial, in their order."""
        keys = (id.rpartition("-")[0], id) if kind == "trial.checkpointed" else (id,)
        if not all(keys):
            return []  # no trial's id is like that
        envelopes = await read_all(self._bus, subjects.SEARCH, [subjects.all_of(kind, *keys)])
        return [envelope.event for envelope in envelopes]


def _furthest(experiment: Experiment, results: list[PastResult]) -> list[PastResult]:
    """As many as a sampler learns from, those that were measured latest, then the best."""
    results.sort(key=lambda r: (-r.time, experiment.cost(r.metric)))
    return results[:HISTORY]
