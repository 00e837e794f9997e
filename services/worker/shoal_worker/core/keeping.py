"""Which checkpoints of an experiment may go.

While it goes on, a trial keeps its newest, its best, and everything that the searcher may still
hand out: what is not older than the newest that the searcher took note of, and what another trial
is to start from. Both are read from the searcher's own stream, in its order: once it has noted a
newer checkpoint, every trial that it will start from an older one has been read of before.

What a person pinned stays; what a person wants removed goes once no trial needs it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shoal_contract.config import CheckpointStorage
from shoal_contract.events import (
    Checkpoint,
    CheckpointChangeRequested,
    CheckpointRemoved,
    CheckpointSaved,
    Event,
    RunAccepted,
    RunExited,
    SearchAccepted,
    SearchCancelled,
    SearchCompleted,
    SearchFailed,
    TrialCancelled,
    TrialCheckpointed,
    TrialCompleted,
    TrialCreated,
    TrialFailed,
    TrialStopped,
    ValidationReported,
)

Place = tuple[int, int]
"""Step and attempt: a later attempt's checkpoint of the same step is the newer one."""


@dataclass(slots=True)
class Past:
    """What is known of one trial."""

    saved: dict[str, Checkpoint] = field(default_factory=dict)
    """By address; those that went are taken out."""
    results: dict[int, float] = field(default_factory=dict)
    """Step to the metric, turned so that smaller is better."""
    known: Checkpoint | None = None
    """The newest that the searcher took note of."""
    source: Checkpoint | None = None
    """Another trial's, from which it starts."""
    closed: bool = False

    def newest(self) -> list[Checkpoint]:
        """Its checkpoints, the newest first."""
        return sorted(self.saved.values(), key=_place, reverse=True)

    def best(self) -> list[Checkpoint]:
        """Its checkpoints that have a result, the best first."""
        judged = [c for c in self.newest() if c.step in self.results]
        return sorted(judged, key=lambda c: self.results[c.step])


@dataclass(slots=True)
class Ledger:
    """What the events of one experiment say about its checkpoints."""

    keep: CheckpointStorage | None = None
    """None: the experiment is not known, and nothing goes."""
    metric: str = ""
    sign: float = 1.0
    over: bool = False
    named: dict[str, None] = field(default_factory=dict)
    """Addresses of the checkpoints that the search's result names."""
    trials: dict[str, Past] = field(default_factory=dict)
    runs: dict[str, None] = field(default_factory=dict)
    """Runs that are not over."""
    asked: dict[str, str] = field(default_factory=dict)
    """By address: what a person asked for last, `pin`, `unpin` or `remove`."""

    def note(self, event: Event) -> None:
        """Take an event in. Events of each stream must come in its order."""
        match event:
            case SearchAccepted():
                self.keep = event.config.checkpoint_storage
                self.metric = event.config.searcher.metric
                self.sign = 1.0 if event.config.searcher.smaller_is_better else -1.0
            case SearchCompleted() | SearchFailed() | SearchCancelled():
                self.over = True
                named = [event.best, *event.front]
                self.named = {b.checkpoint.url: None for b in named if b and b.checkpoint}
            case TrialCreated():
                self._past(event.trial_id).source = event.source
            case TrialCheckpointed():
                self._past(event.trial_id).known = event.checkpoint
            case TrialCompleted() | TrialStopped() | TrialCancelled() | TrialFailed():
                self._past(event.trial_id).closed = True
            case CheckpointSaved():
                self._past(event.trial_id).saved[event.checkpoint.url] = event.checkpoint
            case ValidationReported() if self.metric in event.metrics:
                value = self.sign * event.metrics[self.metric]
                if not math.isnan(value):
                    self._past(event.trial_id).results[event.step] = value
            case CheckpointRemoved():
                self.forget(event.url)
            case CheckpointChangeRequested():
                self.asked[event.url] = event.change
            case RunAccepted():
                self.runs[event.run_id] = None
            case RunExited():
                self.runs.pop(event.run_id, None)
            case _:
                pass

    def _past(self, trial_id: str) -> Past:
        return self.trials.setdefault(trial_id, Past())

    def garbage(self, trials: Iterable[str] | None = None) -> Sequence[tuple[str, Checkpoint]]:
        """The checkpoints that may go, of these trials or of all, each with its trial."""
        if self.keep is None:
            return []
        kept, sources = self._kept(self.keep), self._sources()

        def may_go(url: str) -> bool:
            asked = self.asked.get(url)
            return asked != "pin" and url not in sources and (asked == "remove" or url not in kept)

        return [
            (trial_id, checkpoint)
            for trial_id in (self.trials if trials is None else trials)
            for checkpoint in (self.trials[trial_id].newest() if trial_id in self.trials else ())
            if may_go(checkpoint.url) and self._superseded(trial_id, checkpoint)
        ]

    def forget(self, url: str) -> None:
        """The checkpoint at an address is gone."""
        for past in self.trials.values():
            past.saved.pop(url, None)

    def _superseded(self, trial_id: str, checkpoint: Checkpoint) -> bool:
        known = self.trials[trial_id].known
        return self.over or (known is not None and _place(checkpoint) < _place(known))

    def _sources(self) -> dict[str, None]:
        """What other trials are to start from."""
        pasts = () if self.over else self.trials.values()
        sources = [p.source for p in pasts if not p.closed and p.known is None and p.source]
        return dict.fromkeys(source.url for source in sources)

    def _kept(self, keep: CheckpointStorage) -> dict[str, None]:
        """What the result names, and what the experiment's settings keep."""
        wanted = dict(self.named)
        best = keep.save_trial_best
        latest = keep.save_trial_latest
        if not self.over:  # one of an experiment's best is among the best of its trial
            best, latest = max(best, keep.save_experiment_best), max(latest, 1)
        for past in self.trials.values():
            chosen = [*past.newest()[:latest], *past.best()[:best]]
            wanted |= dict.fromkeys(c.url for c in chosen)
        if self.over:
            ranked = sorted(
                ((past.results[c.step], c.url) for past in self.trials.values()
                 for c in past.best()),
            )  # fmt: skip
            wanted |= dict.fromkeys(url for _, url in ranked[: keep.save_experiment_best])
        return wanted


def _place(checkpoint: Checkpoint) -> Place:
    return checkpoint.step, checkpoint.attempt
