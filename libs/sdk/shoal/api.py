"""What can be asked of the platform over HTTP: each question once, for both clients."""

from collections.abc import Sequence
from pathlib import Path

from shoal import bundle as bundles
from shoal.answers.access import Me
from shoal.answers.base import Event, Row
from shoal.answers.experiments import (
    ChangeRequested,
    DeletionRequested,
    Experiment,
    ExperimentArchival,
    ExperimentRequested,
    StoredBundle,
    Submitted,
)
from shoal.answers.feed import Feed
from shoal.asking import (
    Following,
    Request,
    ShoalError,
    Steps,
    Watch,
    created,
    experiment_path,
    followed,
    following,
    given,
    listed,
    meant,
    pages,
    question,
    row,
    trial_path,
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
    def me(self) -> Steps[Me]:
        """Who asks, and what that allows."""
        return row("GET", "/v1/me")

    @question
    def feed(self) -> Steps[Feed]:
        """Where programs that speak NATS subscribe to events; ShoalError (404) if nowhere."""
        return row("GET", "/v1/feed")

    @followed
    def events(
        self,
        *,
        experiment: str | None = None,
        workspace: str | None = None,
        types: Sequence[str] = (),
        since: str = "now",
        follow: bool = True,
        patience: float = 60.0,
    ) -> Following[Event]:
        """Events, each once, as `{"id", "type", "time", "source", "cause", "data"}`.

        Goes on after the last one when the connection breaks, and gives up when the platform has
        not answered for `patience` seconds. `since` is `start` or `now`. With `workspace`, only
        events of its experiments.
        """
        return following(
            "/v1/events", patience, follow=follow, experiment=experiment, workspace=workspace,
            type=list(types) or None, since=since,
        )  # fmt: skip

    @question
    def upload(self, data: bytes, watch: Watch | None = None) -> Steps[StoredBundle]:
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
    ) -> Steps[Experiment | Submitted]:
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
    ) -> Steps[Experiment | Submitted]:
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
    ) -> Steps[list[Experiment]]:
        """Experiments, newest first. `q` are words that name, description, labels or notes have;
        `sort` is a field, with `-` from the greatest down; `archived` None: those as well."""
        return pages(
            "/v1/experiments", limit, 200, state=listed(state), name=name, label=listed(label),
            owner=owner, workspace=workspace, project=project, q=q, sort=sort,
            archived="any" if archived is None else str(archived).lower(),
        )  # fmt: skip

    @question
    def experiment(self, experiment_id: str) -> Steps[Experiment]:
        """One experiment."""
        return row("GET", experiment_path(experiment_id))

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
    ) -> Steps[ChangeRequested]:
        """Change what an experiment is called, what is noted of it, and to which project of its
        workspace it belongs; what is None stays.

        With `revision`, as its row has it, ShoalError (412) if someone else has changed it since.
        """
        body = given(name=name, description=description, notes=notes, project=project)
        body |= {} if labels is None else {"labels": list(labels)}
        path = experiment_path(experiment_id)
        return row("PATCH", path, json=body, headers=meant(revision))

    @question
    def pause(self, experiment_id: str) -> Steps[ExperimentRequested]:
        """Ask that an experiment gives its slots back, to go on later."""
        return row("POST", f"{experiment_path(experiment_id)}/pause")

    @question
    def resume(self, experiment_id: str) -> Steps[ExperimentRequested]:
        """Ask that a paused experiment goes on."""
        return row("POST", f"{experiment_path(experiment_id)}/resume")

    @question
    def cancel(self, experiment_id: str) -> Steps[ExperimentRequested]:
        """Ask that an experiment ends, with a last checkpoint of each trial that runs."""
        return row("POST", f"{experiment_path(experiment_id)}/cancel")

    @question
    def kill(self, experiment_id: str) -> Steps[ExperimentRequested]:
        """Ask that an experiment ends at once, without checkpoints."""
        return row("POST", f"{experiment_path(experiment_id)}/kill")

    @question
    def archive(self, experiment_id: str) -> Steps[ExperimentArchival]:
        """Leave an experiment that has ended out of lists."""
        return row("POST", f"{experiment_path(experiment_id)}/archive")

    @question
    def unarchive(self, experiment_id: str) -> Steps[ExperimentArchival]:
        """Put an archived experiment back into lists."""
        return row("POST", f"{experiment_path(experiment_id)}/unarchive")

    @question
    def delete(self, experiment_id: str) -> Steps[DeletionRequested]:
        """Remove an experiment that has ended, with its checkpoints. There is no way back."""
        return row("DELETE", experiment_path(experiment_id))

    @question
    def fork(
        self, experiment_id: str, changes: Row | None = None, *, key: str | None = None
    ) -> Steps[Experiment | Submitted]:
        """A new experiment with the code and the config of another, changed by `changes`: a part
        of a config, in which null takes a field away. Returns the new one's row."""
        path = f"{experiment_path(experiment_id)}/fork"
        return _created(path, {"changes": changes or {}}, key)

    @question
    def go_on(
        self,
        trial_id: str,
        max_time: int | None = None,
        changes: Row | None = None,
        *,
        key: str | None = None,
    ) -> Steps[Experiment | Submitted]:
        """A new experiment of one trial, with the hyperparameters of another and from its newest
        checkpoint; `max_time` None: as long as the other. Returns the new experiment's row."""
        body = {"changes": changes or {}} | given(max_time=max_time)
        return _created(f"{trial_path(trial_id)}/continue", body, key)

    @question
    def change(
        self,
        experiment_id: str,
        *,
        max_trials: int | None = None,
        max_concurrent_trials: int | None = None,
        revision: int | None = None,
    ) -> Steps[ChangeRequested]:
        """Ask that a running search becomes larger, smaller or wider; what is None stays.
        `revision` as in `edit`."""
        body = given(max_trials=max_trials, max_concurrent_trials=max_concurrent_trials)
        path = experiment_path(experiment_id)
        return row("PATCH", path, json=body, headers=meant(revision))

    @question
    def finish(self, experiment_id: str) -> Steps[ExperimentRequested]:
        """Say that a custom search gets no more trials: it completes when the last have ended."""
        return row("POST", f"{experiment_path(experiment_id)}/finish")


def _submit(
    config: object, bundle: str | None, key: str | None, template: str | None
) -> Steps[Experiment | Submitted]:
    body = {"config": config, "bundle": bundle} | given(template=template)
    return _created("/v1/experiments", body, key)


def _created(path: str, body: Row, key: str | None) -> Steps[Experiment | Submitted]:
    """Have an experiment made; its row, or what the platform said of it if reads lag behind."""
    made: Submitted = yield from created(path, body, key)
    try:
        found: Experiment = yield from row("GET", experiment_path(made["experiment_id"]))
    except ShoalError as error:
        if error.status not in (404, 503):
            raise
        return made
    return found
