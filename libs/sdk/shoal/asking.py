"""What the two clients share: requests, answers, and how often to ask.

A question is a generator: it yields requests, is sent the JSON of their answers, and returns what
the asker wants. `Client` sends the requests and waits for the answers; `AsyncClient` awaits them.
"""

import functools
import json
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from urllib.parse import quote

import httpx

from shoal.answers.base import FieldError, Row

P = ParamSpec("P")
T = TypeVar("T")
Watch = Callable[[int, int], None]
"""Told of each piece of a body that was sent: its bytes, and those of the whole."""
TERMINAL = ("completed", "failed", "cancelled")
"""States in which an experiment stays."""
BUSY = (429, 502, 503, 504)
"""Statuses after which a request is sent again: the platform, or what stands before it, has no time
or is being started anew."""
PAGE = 1000
"""Items that are asked for at once, at most."""
PIECE = 256 * 1024
"""Bytes of a body that are sent at once when someone watches."""
LONGEST_WAIT = 30.0
"""Seconds, at most, before a request is repeated, whatever the platform asks for."""


class ShoalError(Exception):
    """The platform refused, or did not answer. The text says why, in a sentence.

    `status` is the HTTP status (0: there was no answer), `type` the problem's: a name that stays
    (RFC 9457; `about:blank`: the status says it all). `errors` are the fields at fault, each with
    a `path`, a `message` and perhaps a `suggestion`.
    """

    def __init__(
        self,
        text: str,
        status: int = 0,
        errors: Sequence[FieldError] = (),
        type: str = "about:blank",
    ) -> None:
        super().__init__(text)
        self.status, self.type, self.errors = status, type, list(errors)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, and how often it may be sent."""

    method: str
    path: str
    params: Row = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    tries: int = 3
    watch: Watch | None = None

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece, each told to who watches once the next is asked for."""
        whole = self.content or b""
        for start in range(0, len(whole), PIECE):
            piece = whole[start : start + PIECE]
            yield piece
            if self.watch is not None:
                self.watch(len(piece), len(whole))


Steps = Generator[Request, Any, T]


class Waiting:
    """A client whose questions wait for their answers."""

    def _perform(self, steps: Steps[T]) -> T:
        raise NotImplementedError

    def _stream(self, reader: "Following[T]") -> Iterator[T]:
        raise NotImplementedError


class Awaiting:
    """A client whose questions are awaited."""

    async def _perform(self, steps: Steps[T]) -> T:
        raise NotImplementedError

    def _stream(self, reader: "Following[T]") -> AsyncIterator[T]:
        raise NotImplementedError


class question(Generic[P, T]):  # noqa: N801
    """Makes a generator of an `Api` a method of each client."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self.steps = steps
        functools.update_wrapper(self, steps)  # type: ignore[arg-type]

    @overload
    def __get__(self, asker: None, owner: type) -> "question[P, T]": ...
    @overload
    def __get__(self, asker: Waiting, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, asker: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, asker: Any, owner: type) -> Any:
        """The question itself, or the client's method that asks it."""
        if asker is None:
            return self

        @functools.wraps(self.steps)
        def ask(*args: P.args, **named: P.kwargs) -> Any:
            return asker._perform(self.steps(asker, *args, **named))

        return ask


class followed(Generic[P, T]):  # noqa: N801
    """Makes what begins a `Following` a method of each client, which reads it."""

    def __init__(self, begin: Callable[Concatenate[Any, P], "Following[T]"]) -> None:
        self.begin = begin
        functools.update_wrapper(self, begin)  # type: ignore[arg-type]

    @overload
    def __get__(self, reader: None, owner: type) -> "followed[P, T]": ...
    @overload
    def __get__(self, reader: Waiting, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, reader: Awaiting, owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, reader: Any, owner: type) -> Any:
        """What begins it itself, or the client's method that reads."""
        if reader is None:
            return self

        @functools.wraps(self.begin)
        def read(*args: P.args, **named: P.kwargs) -> Any:
            return reader._stream(self.begin(reader, *args, **named))

        return read


@dataclass(slots=True)
class Following(Generic[T]):
    """How far a reader of server-sent events has come. It goes on after a broken connection until
    it is told of the end, and gives up when the platform has not answered for `patience` seconds.
    """

    path: str
    params: Row
    patience: float
    last: str | None = None
    silent: float = 0.0
    ended: bool = False
    _data: str = ""
    _type: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the next connection."""
        found = {"Accept": "text/event-stream"}
        return found | ({"Last-Event-ID": self.last} if self.last else {})

    def line(self, line: str) -> T | None:
        """The event that a line completes, if it does. Raises RemoteProtocolError if that is the
        problem with which a platform breaks the connection: the next one is refused, or goes on."""
        if line.startswith("event:"):
            self._type = line[6:].strip()
            self.ended = self._type == "end"
        elif line.startswith("id:"):
            self.last = line[3:].strip()
        elif line.startswith("data:"):
            self._data += line[5:].strip()
        elif line.startswith(":"):
            self.silent = 0.0
        elif not line and self._data:
            data, self._data, self.silent = self._data, "", 0.0
            kind, self._type = self._type, ""
            found: Any = None if self.ended else json.loads(data)
            if found is not None and kind == "problem":
                raise httpx.RemoteProtocolError(found["detail"])
            event: T | None = found
            return event
        return None

    def closed(self) -> None:
        """Take note of a connection that the platform closed, all being told."""
        self.ended = self.ended or self.params["follow"] == "false"

    def broken(self, url: str, error: Exception, seconds: float) -> None:
        """Take note of a connection that failed after so long. Raises ShoalError to give up."""
        self._data = self._type = ""
        self.silent += seconds
        if self.silent > self.patience:
            raise no_answer(url, error) from error


def following(path: str, patience: float, *, follow: bool, **params: Any) -> Following[Any]:
    """A reader of server-sent events, before its first connection."""
    return Following(path, given(follow=str(follow).lower(), **params), patience)


def wait_after(
    request: Request, attempt: int, answer: httpx.Response | Exception, url: str
) -> float | None:
    """Seconds until a request is to be sent again; None: the answer is good.

    Raises ShoalError if this was the last try, or repeating does not help.
    """
    last = attempt == request.tries - 1
    wait = 0.3 * 2.0**attempt
    if isinstance(answer, Exception):
        if last or (isinstance(answer, httpx.ConnectError) and attempt >= 1):
            raise no_answer(url, answer) from answer
        return wait
    if answer.status_code < 400:
        return None
    if last or answer.status_code not in BUSY:
        raise problem(answer)
    after = answer.headers.get("Retry-After", "")
    return min(LONGEST_WAIT, max(wait, float(after) if after.isdigit() else 0.0))


def headers(request: Request) -> dict[str, str]:
    """The headers of a request. The length is told, since a body in pieces does not tell it."""
    if request.watch is None:
        return request.headers
    return request.headers | {"Content-Length": str(len(request.content or b""))}


def body(response: httpx.Response) -> Any:
    """What a good answer says."""
    return response.json() if response.content else {}


def no_answer(url: str, error: Exception) -> ShoalError:
    """The error of a platform that does not answer."""
    return ShoalError(
        f"No Shoal answers at {url} ({error or type(error).__name__}). Start one with"
        " `shoal up`, or set SHOAL_URL."
    )


def problem(response: httpx.Response) -> ShoalError:
    """The error that an answer tells."""
    try:
        found = response.json()
        return ShoalError(
            found["detail"],
            response.status_code,
            found.get("errors") or (),
            found.get("type", "about:blank"),
        )
    except (ValueError, KeyError, TypeError):
        text = f"{response.request.url} answered {response.status_code}, and not as Shoal does."
        return ShoalError(text, response.status_code)


def row(method: str, path: str, **more: Any) -> Steps[Any]:
    """One request whose answer is what is wanted."""
    return (yield Request(method, path, **more))


def created(path: str, body: Row, key: str | None = None) -> Steps[Any]:
    """One request that creates something. Repeats itself while there is no answer: the key makes
    that harmless."""
    headers = {"Idempotency-Key": key or secrets.token_hex(16)}
    return row("POST", path, json=body, headers=headers, tries=5)


def items(path: str, **params: Any) -> Steps[Any]:
    """One request whose answer has what is wanted in `items`."""
    return (yield Request("GET", path, given(**params)))["items"]


def pages(path: str, most: int | None = None, page: int = PAGE, **params: Any) -> Steps[Any]:
    """Requests whose answers have what is wanted in `items`, page by page; `most` None: all."""
    found: list[Row] = []
    wanted = given(**params)
    while most is None or len(found) < most:
        wanted["limit"] = page if most is None else min(page, most - len(found))
        answer = yield Request("GET", path, dict(wanted))
        found += answer["items"]
        if answer.get("next") is None:
            break
        wanted["cursor"] = answer["next"]
    return found


def meant(revision: int | None) -> dict[str, str]:
    """The header of a change that is for a revision alone; None: for any."""
    return {} if revision is None else {"If-Match": f'"{revision}"'}


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def experiment_path(experiment_id: str) -> str:
    """Where an experiment is."""
    return f"/v1/experiments/{part(experiment_id)}"


def trial_path(trial_id: str) -> str:
    """Where a trial is: its id begins with its experiment's."""
    experiment_id = trial_id.rpartition("-")[0] or trial_id
    return f"{experiment_path(experiment_id)}/trials/{part(trial_id)}"


def checkpoint_path(checkpoint_id: str) -> str:
    """Where a checkpoint is: its id begins with its experiment's."""
    experiment_id = checkpoint_id.rsplit("-", 3)[0]
    return f"{experiment_path(experiment_id)}/checkpoints/{part(checkpoint_id)}"


def given(**params: Any) -> Row:
    """What is not None."""
    return {name: value for name, value in params.items() if value is not None}


def listed(value: str | Sequence[str] | None) -> list[str] | None:
    """Several values of a parameter, or one; None if there is none."""
    return [value] if isinstance(value, str) else list(value or ()) or None
