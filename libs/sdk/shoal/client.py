"""The platform over HTTP, for programs and for the `shoal` command."""

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from shoal import bundle as bundles

Row = dict[str, Any]
DEFAULT_URL = "http://127.0.0.1:8080"
TERMINAL = ("completed", "failed", "cancelled")
"""States in which an experiment stays."""


class ShoalError(Exception):
    """The platform refused, or did not answer. The text says why, in a sentence.

    `status` is the HTTP status (0: there was no answer), `errors` what is wrong with a config.
    """

    def __init__(self, text: str, status: int = 0, errors: Sequence[Row] = ()) -> None:
        super().__init__(text)
        self.status, self.errors = status, list(errors)


def find_url() -> str:
    """Where the platform is: `SHOAL_URL`, a platform that runs on this machine, or the default."""
    if url := os.environ.get("SHOAL_URL"):
        return url
    home = Path(os.environ.get("SHOAL_HOME") or Path.home() / ".shoal")
    try:
        return str(json.loads((home / "local.json").read_text())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_URL


class Client:
    """A line to one platform. Every method raises ShoalError when it cannot do its work.

    >>> client = Client()  # doctest: +SKIP
    >>> client.run({"name": "digits", ...}, Path("digits"))  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = (url or find_url()).rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=timeout, transport=transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> None:
        """Return if the platform is ready to work."""
        self._call("GET", "/readyz")

    def upload(self, data: bytes) -> Row:
        """Store a bundle; returns its `url`, `sha256` and `size`."""
        return self._call("POST", "/v1/bundles", content=data)

    def submit(self, config: object, bundle: str | None = None, *, key: str | None = None) -> Row:
        """Submit an experiment; returns its row. `bundle` is the SHA-256 of a stored one.

        Repeats itself while there is no answer: the key makes that harmless.
        """
        headers = {"Idempotency-Key": key or secrets.token_hex(16)}
        body = {"config": config, "bundle": bundle}
        created = self._call("POST", "/v1/experiments", json=body, headers=headers, tries=5)
        try:
            return self.experiment(created["experiment_id"])
        except ShoalError as error:
            if error.status != 404:
                raise
            return created

    def run(self, config: object, folder: Path | str | None = None) -> Row:
        """Submit an experiment with the code in `folder`; returns its row."""
        sha256 = None
        if folder is not None:
            sha256 = self.upload(bundles.make(Path(folder)))["sha256"]
        return self.submit(config, sha256)

    def experiments(self, limit: int = 50) -> list[Row]:
        """The newest experiments, the newest first."""
        found: list[Row] = []
        params: dict[str, Any] = {}
        while len(found) < limit:
            params["limit"] = min(200, limit - len(found))
            page = self._call("GET", "/v1/experiments", params=params)
            found += page["items"]
            if page["next"] is None:
                break
            params["cursor"] = page["next"]
        return found

    def experiment(self, experiment_id: str) -> Row:
        """One experiment."""
        return self._call("GET", f"/v1/experiments/{_part(experiment_id)}")

    def trials(self, experiment_id: str) -> list[Row]:
        """The trials of an experiment, in the order of their proposal."""
        return self._items(f"/v1/experiments/{_part(experiment_id)}/trials")

    def trial(self, trial_id: str) -> Row:
        """One trial. Its id begins with its experiment's."""
        return self._call("GET", _trial(trial_id))

    def explain(self, trial_id: str) -> Row:
        """Why a trial is where it is: `now` in a sentence, and `events`, its story."""
        return self._call("GET", f"{_trial(trial_id)}/explain")

    def metrics(
        self, experiment_id: str, *, group: str = "validation", trial: str | None = None
    ) -> list[Row]:
        """Reports of an experiment's trials; `group` is `validation` or `training`."""
        path = f"/v1/experiments/{_part(experiment_id)}/metrics"
        return self._items(path, group=group, trial=trial)

    def checkpoints(self, experiment_id: str, *, trial: str | None = None) -> list[Row]:
        """Checkpoints of an experiment's trials."""
        return self._items(f"/v1/experiments/{_part(experiment_id)}/checkpoints", trial=trial)

    def logs(self, experiment_id: str, *, trial: str | None = None, after: int = 0) -> list[Row]:
        """What ranks have written since the piece `after`; each piece has an `id`."""
        found: list[Row] = []
        while True:
            params = _given(trial=trial, after=after)
            path = f"/v1/experiments/{_part(experiment_id)}/logs"
            page = self._call("GET", path, params=params)
            found += page["items"]
            if page["next"] == after or not page["items"]:
                return found
            after = page["next"]

    def pause(self, experiment_id: str) -> Row:
        """Ask that an experiment gives its slots back, to go on later."""
        return self._call("POST", f"/v1/experiments/{_part(experiment_id)}/pause")

    def resume(self, experiment_id: str) -> Row:
        """Ask that a paused experiment goes on."""
        return self._call("POST", f"/v1/experiments/{_part(experiment_id)}/resume")

    def cancel(self, experiment_id: str) -> Row:
        """Ask that an experiment ends."""
        return self._call("POST", f"/v1/experiments/{_part(experiment_id)}/cancel")

    def change(
        self,
        experiment_id: str,
        *,
        max_trials: int | None = None,
        max_concurrent_trials: int | None = None,
    ) -> Row:
        """Ask that a running search becomes larger, smaller or wider; what is None stays."""
        body = _given(max_trials=max_trials, max_concurrent_trials=max_concurrent_trials)
        return self._call("PATCH", f"/v1/experiments/{_part(experiment_id)}", json=body)

    def create_trial(
        self,
        experiment_id: str,
        hyperparameters: Row,
        target: int | None = None,
        request_id: str | None = None,
    ) -> str:
        """Have a configuration tried in a custom search, at first up to `target` (None: in full).

        Returns the request's id, which the event `trial.created` carries. Sent again with the same
        id, a request makes no second trial; so it repeats itself while there is no answer.
        """
        body = _given(hyperparameters=hyperparameters, target=target)
        body["request_id"] = request_id or secrets.token_hex(8)
        path = f"/v1/experiments/{_part(experiment_id)}/trials"
        return str(self._call("POST", path, json=body, tries=5)["request_id"])

    def extend_trial(self, trial_id: str, target: int) -> Row:
        """Have a trial of a custom search train on, up to `target`."""
        return self._call("POST", f"{_trial(trial_id)}/extend", json={"target": target})

    def stop_trial(self, trial_id: str) -> Row:
        """Ask that one trial ends; its experiment goes on."""
        return self._call("POST", f"{_trial(trial_id)}/stop")

    def finish(self, experiment_id: str) -> Row:
        """Say that a custom search gets no more trials: it completes when the last have ended."""
        return self._call("POST", f"/v1/experiments/{_part(experiment_id)}/finish")

    def nodes(self) -> list[Row]:
        """Machines with slots."""
        return self._items("/v1/nodes")

    def instances(self) -> list[Row]:
        """Machines that the platform asked clouds for."""
        return self._items("/v1/instances")

    def queue(self) -> list[Row]:
        """What waits for slots, the first in line first."""
        return self._items("/v1/queue")

    def events(
        self,
        *,
        experiment: str | None = None,
        types: Sequence[str] = (),
        since: str = "now",
        follow: bool = True,
        patience: float = 60.0,
    ) -> Iterator[Row]:
        """Events, each once, as `{"id", "type", "time", "source", "cause", "data"}`.

        Goes on after the last one when the connection breaks, and gives up when the platform has
        not answered for `patience` seconds. `since` is `start` or `now`.
        """
        params = _given(experiment=experiment, type=list(types) or None, since=since)
        params["follow"] = str(follow).lower()
        last: str | None = None
        silent = 0.0
        while True:
            began = time.monotonic()
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
            try:
                with self._http.stream(
                    "GET", "/v1/events", params=params, headers=headers, timeout=30.0
                ) as response:
                    if response.status_code >= 500:
                        raise httpx.RemoteProtocolError(f"status {response.status_code}")
                    if response.status_code >= 400:
                        response.read()
                        raise _problem(response)
                    for place, event in _events(response.iter_lines(), last):
                        last, silent = place, 0.0
                        if event is not None:
                            yield event
                if not follow:
                    return
            except httpx.HTTPError as error:
                silent += time.monotonic() - began + 0.5
                if silent > patience:
                    raise self._no_answer(error) from error
            time.sleep(0.5)

    def _items(self, path: str, **params: Any) -> list[Row]:
        found: list[Row] = self._call("GET", path, params=_given(**params))["items"]
        return found

    def _call(self, method: str, path: str, *, tries: int = 3, **arguments: Any) -> Row:
        for attempt in range(tries):
            last = attempt == tries - 1
            try:
                response = self._http.request(method, path, **arguments)
            except httpx.ConnectError as error:
                if last or attempt >= 1:
                    raise self._no_answer(error) from error
            except httpx.HTTPError as error:
                if last:
                    raise self._no_answer(error) from error
            else:
                if response.status_code < 400:
                    found: Row = response.json()
                    return found
                if response.status_code != 503 or last:
                    raise _problem(response)
            time.sleep(0.3 * 2**attempt)
        raise AssertionError("unreachable")

    def _no_answer(self, error: Exception) -> ShoalError:
        return ShoalError(
            f"No Shoal answers at {self.url} ({error or type(error).__name__}). Start one with"
            " `shoal up`, or set SHOAL_URL."
        )


def _trial(trial_id: str) -> str:
    experiment_id = trial_id.rpartition("-")[0] or trial_id
    return f"/v1/experiments/{_part(experiment_id)}/trials/{_part(trial_id)}"


def _part(name: str) -> str:
    return quote(name, safe="")


def _given(**params: Any) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _problem(response: httpx.Response) -> ShoalError:
    try:
        body = response.json()
        return ShoalError(body["detail"], response.status_code, body.get("errors", ()))
    except (ValueError, KeyError, TypeError):
        text = f"{response.request.url} answered {response.status_code}, and not as Shoal does."
        return ShoalError(text, response.status_code)


def _events(lines: Iterator[str], last: str | None) -> Iterator[tuple[str | None, Row | None]]:
    """Server-sent events of a response, with the id to go on from; None for a sign of life."""
    data = ""
    for line in lines:
        if line.startswith("id:"):
            last = line[3:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
        elif not line and data:
            yield last, json.loads(data)
            data = ""
        elif line.startswith(":"):
            yield last, None
