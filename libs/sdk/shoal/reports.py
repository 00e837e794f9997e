"""The questions about what trials tell: metrics and logs."""

from collections.abc import Sequence

from shoal.asking import Request, Row, Steps, given, items, listed, part, question


class Reports:
    """The questions, for both clients. Each raises ShoalError as those of `Api` do."""

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
    ) -> Steps[list[Row]]:
        """Reports of an experiment's trials; `group` is `validation`, `training` or `system`.

        About `points` of each series come (None: 500, 0: all), with the least and the greatest.
        """
        several = None if trial is None or isinstance(trial, str) else ",".join(trial)
        return items(
            f"/v1/experiments/{part(experiment_id)}/metrics", group=group, trials=several,
            trial=trial if isinstance(trial, str) else None, name=listed(name), points=points,
            since_step=since_step,
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
    ) -> Steps[list[Row]]:
        """Reports of some trials, of any experiments, as `metrics` gives those of one."""
        return items(
            "/v1/metrics", trials=",".join(trials), group=group, name=listed(name), points=points,
            since_step=since_step,
        )  # fmt: skip

    @question
    def logs(
        self, experiment_id: str, *, trial: str | None = None, after: int = 0
    ) -> Steps[list[Row]]:
        """What ranks have written since the piece `after`; each piece has an `id`."""
        found: list[Row] = []
        while True:
            params = given(trial=trial, after=after)
            page = yield Request("GET", f"/v1/experiments/{part(experiment_id)}/logs", params)
            found += page["items"]
            if page["next"] == after or not page["items"]:
                return found
            after = page["next"]
