"""The questions about trials: what they do, report, write and keep."""

import secrets
from collections.abc import Sequence

from shoal.answers.base import Row
from shoal.answers.experiments import Search
from shoal.answers.trials import (
    CheckpointRequested,
    Explanation,
    KeptCheckpoint,
    LogPiece,
    Report,
    Run,
    Trial,
    TrialExtensionAsked,
    TrialStopAsked,
)
from shoal.asking import (
    Following,
    Request,
    Steps,
    checkpoint_path,
    created,
    experiment_path,
    followed,
    following,
    given,
    items,
    listed,
    pages,
    question,
    row,
    trial_path,
)


class Trials:
    """The questions, for both clients. Each raises ShoalError as those of `Api` do."""

    @question
    def trials(
        self,
        experiment_id: str,
        limit: int | None = None,
        *,
        state: str | Sequence[str] | None = None,
        sort: str | None = None,
    ) -> Steps[list[Trial]]:
        """The trials of an experiment, in the order of their proposal. `sort` is `number`, `metric`
        or `best`, with `-` from the greatest down."""
        path = f"{experiment_path(experiment_id)}/trials"
        return pages(path, limit, state=listed(state), sort=sort)

    @question
    def searcher(self, experiment_id: str) -> Steps[Search]:
        """How an experiment's search stands: its brackets, and what reached each rung."""
        return row("GET", f"{experiment_path(experiment_id)}/searcher")

    @question
    def runs(self, experiment_id: str, *, trial: str | None = None) -> Steps[list[Run]]:
        """The runs of an experiment's trials: each attempt, what it got and what ended it."""
        return pages(f"{experiment_path(experiment_id)}/runs", trial=trial)

    @question
    def trial(self, trial_id: str) -> Steps[Trial]:
        """One trial. Its id begins with its experiment's."""
        return row("GET", trial_path(trial_id))

    @question
    def explain(self, trial_id: str) -> Steps[Explanation]:
        """Why a trial is where it is: `now` in a sentence, and `events`, its story."""
        return row("GET", f"{trial_path(trial_id)}/explain")

    @question
    def create_trial(
        self,
        experiment_id: str,
        hyperparameters: Row,
        target: int | None = None,
        request_id: str | None = None,
    ) -> Steps[str]:
        """Have a configuration tried in a custom search, at first up to `target` (None: in full).

        Returns the request's id, which the event `trial.created` carries. Sent again with the same
        id, a request makes no second trial; so it repeats itself while there is no answer.
        """
        body = given(hyperparameters=hyperparameters, target=target)
        body["request_id"] = request_id or secrets.token_hex(8)
        path = f"{experiment_path(experiment_id)}/trials"
        return str((yield from created(path, body, body["request_id"]))["request_id"])

    @question
    def extend_trial(self, trial_id: str, target: int) -> Steps[TrialExtensionAsked]:
        """Have a trial of a custom search train on, up to `target`."""
        return row("POST", f"{trial_path(trial_id)}/extend", json={"target": target})

    @question
    def stop_trial(self, trial_id: str) -> Steps[TrialStopAsked]:
        """Ask that one trial ends; its experiment goes on."""
        return row("POST", f"{trial_path(trial_id)}/stop")

    @question
    def kill_trial(self, trial_id: str) -> Steps[TrialStopAsked]:
        """Ask that one trial ends at once, without a checkpoint; its experiment goes on."""
        return row("POST", f"{trial_path(trial_id)}/kill")

    @question
    def metrics(
        self,
        experiment_id: str,
        *,
        group: str = "validation",
        trial: str | Sequence[str] | None = None,
        name: str | Sequence[str] | None = None,
        points: int | None = None,
        since_step: int | None = None,
        superseded: bool = False,
    ) -> Steps[list[Report]]:
        """Reports of an experiment's trials; `group` is `validation`, `training` or `system`.

        About `points` of each series come (None: 500, 0: all), with the least and the greatest;
        with `superseded` also those of steps that were trained again, marked.
        """
        several = None if trial is None or isinstance(trial, str) else ",".join(trial)
        return items(
            f"{experiment_path(experiment_id)}/metrics", group=group, trials=several,
            trial=trial if isinstance(trial, str) else None, name=listed(name), points=points,
            since_step=since_step, superseded=superseded or None,
        )  # fmt: skip

    @question
    def compare(
        self,
        trials: Sequence[str],
        *,
        group: str = "validation",
        name: str | Sequence[str] | None = None,
        points: int | None = None,
        since_step: int | None = None,
    ) -> Steps[list[Report]]:
        """Reports of some trials, of any experiments, as `metrics` gives those of one."""
        return items(
            "/v1/metrics", trials=",".join(trials), group=group, name=listed(name), points=points,
            since_step=since_step,
        )  # fmt: skip

    @question
    def logs(
        self,
        experiment_id: str,
        *,
        trial: str | None = None,
        after: int = 0,
        tail: int | None = None,
        rank: int | None = None,
        stream: str | None = None,
        level: str | None = None,
        search: str | None = None,
        regex: str | None = None,
    ) -> Steps[list[LogPiece]]:
        """What ranks have written since the piece `after` (each has an `id`), or the last `tail`
        lines; `level` takes graver ones in. `follow_logs` goes on as more is written."""
        path = f"{experiment_path(experiment_id)}/logs"
        params = given(
            trial=trial, rank=rank, stream=stream, level=level, search=search, regex=regex
        )
        if tail is not None:
            last: list[LogPiece] = yield from items(path, **params, tail=tail)
            return last
        found: list[LogPiece] = []
        while True:
            page = yield Request("GET", path, params | {"after": after})
            found += page["items"]
            if page["complete"] or page["next"] == after:
                return found
            after = page["next"]

    @followed
    def follow_logs(
        self,
        experiment_id: str,
        *,
        trial: str | None = None,
        tail: int | None = None,
        rank: int | None = None,
        level: str | None = None,
        search: str | None = None,
        patience: float = 60.0,
    ) -> Following[LogPiece]:
        """What ranks write, as they do, until the experiment (or the trial) has ended; of what was
        written before, all, or the last `tail` lines. Goes on as `events` does."""
        return following(
            f"{experiment_path(experiment_id)}/logs", patience, follow=True, trial=trial, tail=tail,
            rank=rank, level=level, search=search,
        )  # fmt: skip

    @question
    def checkpoints(
        self, experiment_id: str, *, trial: str | None = None, removed: bool = False
    ) -> Steps[list[KeptCheckpoint]]:
        """Checkpoints of an experiment's trials; with `removed`, also those that are gone."""
        path = f"{experiment_path(experiment_id)}/checkpoints"
        return pages(path, trial=trial, removed=removed)

    @question
    def checkpoint(self, checkpoint_id: str) -> Steps[KeptCheckpoint]:
        """One checkpoint."""
        return row("GET", checkpoint_path(checkpoint_id))

    @question
    def remove_checkpoint(self, checkpoint_id: str) -> Steps[CheckpointRequested]:
        """Ask that a checkpoint is removed as soon as no trial needs it."""
        return row("DELETE", checkpoint_path(checkpoint_id))

    @question
    def pin_checkpoint(self, checkpoint_id: str) -> Steps[CheckpointRequested]:
        """Ask that a checkpoint is kept, whatever its experiment's settings say."""
        return row("POST", f"{checkpoint_path(checkpoint_id)}/pin")

    @question
    def unpin_checkpoint(self, checkpoint_id: str) -> Steps[CheckpointRequested]:
        """Ask that a checkpoint is kept only as its experiment's settings say."""
        return row("POST", f"{checkpoint_path(checkpoint_id)}/unpin")
