"""What can be asked of the platform over HTTP: each question once, for both clients."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from shoal import bundle as bundles
from shoal.asking import (
    Request,
    Row,
    ShoalError,
    Steps,
    Watch,
    created,
    given,
    items,
    listed,
    part,
    question,
    row,
)


class Api:
    """The questions. Each raises ShoalError when it gets no answer, or no good one.

    What changes something is sent again only where that does no harm.
    """

    @question
    def ready(self) -> Steps[None]:
        """Return if the platform is ready to work."""
        yield Request("GET", "/readyz")

    @question
    def me(self) -> Steps[Row]:
        """Who asks, and what that allows."""
        return row("GET", "/v1/me")

    @question
    def feed(self) -> Steps[Row]:
        """Where programs that speak NATS subscribe to events; ShoalError (404) if nowhere."""
        return row("GET", "/v1/feed")

    # Experiments

    @question
    def upload(self, data: bytes, watch: Watch | None = None) -> Steps[Row]:
        """Store a bundle; returns its `url`, `sha256` and `size`."""
        return row("POST", "/v1/bundles", content=data, watch=watch)

    @question
    def submit(
        self,
        config: object,
        bundle: str | None = None,
        *,
        key: str | None = None,
        template: str | None = None,
    ) -> Steps[Row]:
        """Submit an experiment; returns its row. `bundle` is the SHA-256 of a stored one, and
        `template` what the config is put on top of.

        Repeats itself while there is no answer: the key makes that harmless.
        """
        return _submit(config, bundle, key, template)

    @question
    def run(
        self,
        config: object,
        folder: Path | str | None = None,
        watch: Watch | None = None,
        template: str | None = None,
    ) -> Steps[Row]:
        """Submit an experiment with the code in `folder`, or in a tar or zip; returns its row."""
        sha256 = None
        if folder is not None:
            code = Path(folder)
            data = bundles.make(code) if code.is_dir() else code.read_bytes()
            stored = yield Request("POST", "/v1/bundles", content=data, watch=watch)
            sha256 = stored["sha256"]
        return (yield from _submit(config, sha256, None, template))

    @question
    def experiments(
        self,
        limit: int = 50,
        *,
        state: str | Sequence[str] | None = None,
        name: str | None = None,
        label: str | Sequence[str] | None = None,
        owner: str | None = None,
        workspace: str | None = None,
        project: str | None = None,
        q: str | None = None,
        sort: str | None = None,
        archived: bool | None = False,
    ) -> Steps[list[Row]]:
        """Experiments, newest first. `q` are words that name, description, labels or notes have;
        `sort` is a field, with `-` from the greatest down; `archived` None: those as well."""
        params = given(
            state=listed(state), name=name, label=listed(label), owner=owner,
            workspace=workspace, project=project, q=q, sort=sort,
            archived="any" if archived is None else str(archived).lower(),
        )  # fmt: skip
        found: list[Row] = []
        while len(found) < limit:
            params["limit"] = min(200, limit - len(found))
            page = yield Request("GET", "/v1/experiments", params)
            found += page["items"]
            if page["next"] is None:
                break
            params["cursor"] = page["next"]
        return found

    @question
    def experiment(self, experiment_id: str) -> Steps[Row]:
        """One experiment."""
        return row("GET", _experiment(experiment_id))

    @question
    def edit(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        labels: Sequence[str] | None = None,
        notes: str | None = None,
        project: str | None = None,
        revision: int | None = None,
    ) -> Steps[Row]:
        """Change what an experiment is called, what is noted of it, and to which project of its
        workspace it belongs; what is None stays.

        With `revision`, as its row has it, ShoalError (412) if someone else has changed it since.
        """
        body = given(name=name, description=description, notes=notes, project=project)
        body |= {} if labels is None else {"labels": list(labels)}
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        path = _experiment(experiment_id)
        return row("PATCH", path, json=body, headers=headers)

    @question
    def pause(self, experiment_id: str) -> Steps[Row]:
        """Ask that an experiment gives its slots back, to go on later."""
        return row("POST", f"{_experiment(experiment_id)}/pause")

    @question
    def resume(self, experiment_id: str) -> Steps[Row]:
        """Ask that a paused experiment goes on."""
        return row("POST", f"{_experiment(experiment_id)}/resume")

    @question
    def cancel(self, experiment_id: str) -> Steps[Row]:
        """Ask that an experiment ends, with a last checkpoint of each trial that runs."""
        return row("POST", f"{_experiment(experiment_id)}/cancel")

    @question
    def kill(self, experiment_id: str) -> Steps[Row]:
        """Ask that an experiment ends at once, without checkpoints."""
        return row("POST", f"{_experiment(experiment_id)}/kill")

    @question
    def archive(self, experiment_id: str) -> Steps[Row]:
        """Leave an experiment that has ended out of lists."""
        return row("POST", f"{_experiment(experiment_id)}/archive")

    @question
    def unarchive(self, experiment_id: str) -> Steps[Row]:
        """Put an archived experiment back into lists."""
        return row("POST", f"{_experiment(experiment_id)}/unarchive")

    @question
    def delete(self, experiment_id: str) -> Steps[Row]:
        """Remove an experiment that has ended, with its checkpoints. There is no way back."""
        return row("DELETE", _experiment(experiment_id))

    @question
    def fork(
        self, experiment_id: str, changes: Row | None = None, *, key: str | None = None
    ) -> Steps[Row]:
        """A new experiment with the code and the config of another, changed by `changes`: a part
        of a config, in which null takes a field away. Returns the new one's row."""
        path = f"{_experiment(experiment_id)}/fork"
        return _created(path, {"changes": changes or {}}, key)

    @question
    def go_on(
        self,
        trial_id: str,
        max_time: int | None = None,
        changes: Row | None = None,
        *,
        key: str | None = None,
    ) -> Steps[Row]:
        """A new experiment of one trial, with the hyperparameters of another and from its newest
        checkpoint; `max_time` None: as long as the other. Returns the new experiment's row."""
        body = {"changes": changes or {}} | given(max_time=max_time)
        return _created(f"{_trial(trial_id)}/continue", body, key)

    @question
    def change(
        self,
        experiment_id: str,
        *,
        max_trials: int | None = None,
        max_concurrent_trials: int | None = None,
    ) -> Steps[Row]:
        """Ask that a running search becomes larger, smaller or wider; what is None stays."""
        body = given(max_trials=max_trials, max_concurrent_trials=max_concurrent_trials)
        return row("PATCH", _experiment(experiment_id), json=body)

    @question
    def finish(self, experiment_id: str) -> Steps[Row]:
        """Say that a custom search gets no more trials: it completes when the last have ended."""
        return row("POST", f"{_experiment(experiment_id)}/finish")

    # Trials

    @question
    def trials(self, experiment_id: str) -> Steps[list[Row]]:
        """The trials of an experiment, in the order of their proposal."""
        return items(f"{_experiment(experiment_id)}/trials")

    @question
    def searcher(self, experiment_id: str) -> Steps[Row]:
        """How an experiment's search stands: its brackets, and what reached each rung."""
        return row("GET", f"{_experiment(experiment_id)}/searcher")

    @question
    def runs(self, experiment_id: str, *, trial: str | None = None) -> Steps[list[Row]]:
        """The runs of an experiment's trials: each attempt, what it got and what ended it."""
        return items(f"{_experiment(experiment_id)}/runs", trial=trial)

    @question
    def trial(self, trial_id: str) -> Steps[Row]:
        """One trial. Its id begins with its experiment's."""
        return row("GET", _trial(trial_id))

    @question
    def explain(self, trial_id: str) -> Steps[Row]:
        """Why a trial is where it is: `now` in a sentence, and `events`, its story."""
        return row("GET", f"{_trial(trial_id)}/explain")

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
        path = f"{_experiment(experiment_id)}/trials"
        return str((yield from created(path, body, body["request_id"]))["request_id"])

    @question
    def extend_trial(self, trial_id: str, target: int) -> Steps[Row]:
        """Have a trial of a custom search train on, up to `target`."""
        return row("POST", f"{_trial(trial_id)}/extend", json={"target": target})

    @question
    def stop_trial(self, trial_id: str) -> Steps[Row]:
        """Ask that one trial ends; its experiment goes on."""
        return row("POST", f"{_trial(trial_id)}/stop")

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
    ) -> Steps[list[Row]]:
        """Reports of an experiment's trials; `group` is `validation`, `training` or `system`.

        About `points` of each series come (None: 500, 0: all), with the least and the greatest;
        with `superseded` also those of steps that were trained again, marked.
        """
        several = None if trial is None or isinstance(trial, str) else ",".join(trial)
        return items(
            f"{_experiment(experiment_id)}/metrics", group=group, trials=several,
            trial=trial if isinstance(trial, str) else None, name=listed(name), points=points,
            since_step=since_step, superseded=superseded or None,
        )  # fmt: skip

    @question
    def logs(
        self, experiment_id: str, *, trial: str | None = None, after: int = 0
    ) -> Steps[list[Row]]:
        """What ranks have written since the piece `after`; each piece has an `id`."""
        found: list[Row] = []
        while True:
            params = given(trial=trial, after=after)
            page = yield Request("GET", f"{_experiment(experiment_id)}/logs", params)
            found += page["items"]
            if page["next"] == after or not page["items"]:
                return found
            after = page["next"]

    # Checkpoints

    @question
    def checkpoints(
        self, experiment_id: str, *, trial: str | None = None, removed: bool = False
    ) -> Steps[list[Row]]:
        """Checkpoints of an experiment's trials; with `removed`, also those that are gone."""
        path = f"{_experiment(experiment_id)}/checkpoints"
        return items(path, trial=trial, removed=removed)

    @question
    def checkpoint(self, checkpoint_id: str) -> Steps[Row]:
        """One checkpoint."""
        return row("GET", _checkpoint(checkpoint_id))

    @question
    def remove_checkpoint(self, checkpoint_id: str) -> Steps[Row]:
        """Ask that a checkpoint is removed as soon as no trial needs it."""
        return row("DELETE", _checkpoint(checkpoint_id))

    @question
    def pin_checkpoint(self, checkpoint_id: str) -> Steps[Row]:
        """Ask that a checkpoint is kept, whatever its experiment's settings say."""
        return row("POST", f"{_checkpoint(checkpoint_id)}/pin")

    @question
    def unpin_checkpoint(self, checkpoint_id: str) -> Steps[Row]:
        """Ask that a checkpoint is kept only as its experiment's settings say."""
        return row("POST", f"{_checkpoint(checkpoint_id)}/unpin")

    # Places in the queue

    @question
    def share(
        self,
        experiment_id: str,
        *,
        weight: float | None = None,
        priority: int | None = None,
        max_slots: int | None = None,
        hold: bool | None = None,
    ) -> Steps[Row]:
        """Ask that an experiment gets another place among others; what is None stays."""
        body = given(weight=weight, priority=priority, max_slots=max_slots, hold=hold)
        return row("PATCH", f"{_experiment(experiment_id)}/share", json=body)

    @question
    def move_trial(self, trial_id: str, ahead_of: str) -> Steps[Row]:
        """Ask that a waiting trial is served before another that waits."""
        return row("POST", f"{_trial(trial_id)}/move", json={"ahead_of": ahead_of})


def _submit(
    config: object, bundle: str | None, key: str | None, template: str | None
) -> Steps[Row]:
    body = {"config": config, "bundle": bundle} | given(template=template)
    return _created("/v1/experiments", body, key)


def _created(path: str, body: Row, key: str | None) -> Steps[Row]:
    """Have an experiment made; its row, or what the platform said of it if reads lag behind."""
    made = yield from created(path, body, key)
    try:
        return (yield from row("GET", _experiment(made["experiment_id"])))
    except ShoalError as error:
        if error.status not in (404, 503):
            raise
        return made


def _experiment(experiment_id: str) -> str:
    return f"/v1/experiments/{part(experiment_id)}"


def _trial(trial_id: str) -> str:
    experiment_id = trial_id.rpartition("-")[0] or trial_id
    return f"{_experiment(experiment_id)}/trials/{part(trial_id)}"


def _checkpoint(checkpoint_id: str) -> str:
    experiment_id = checkpoint_id.rsplit("-", 3)[0]
    return f"{_experiment(experiment_id)}/checkpoints/{part(checkpoint_id)}"
