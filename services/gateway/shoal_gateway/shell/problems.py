"""Every error as RFC 9457 `application/problem+json`."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shoal_bus.bus import BusError, TooLargeError
from shoal_contract.parse import ConfigError, plain

log = logging.getLogger(__name__)
Wrong = dict[str, Any]
"""One field that is wrong: its `path`, a `message`, and perhaps a `suggestion`."""
PATH = "urn:shoal:problem:path"
_JSON = re.compile(r"application/([\w.-]+\+)?json\b", re.IGNORECASE)
_CHOICE = re.compile(r"\^(?P<sign>-\?)?\((?P<names>[\w|]+)\)\$")
"""A pattern that only lists names, with or without a sign before them."""


class ProblemError(Exception):
    """A request that is answered with a problem. `detail` says what to do about it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str,
        title: str | None = None,
        errors: Sequence[Wrong] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind = status, detail, kind
        self.title, self.headers = title or HTTPStatus(status).phrase, headers
        self.errors = list(errors)

    @property
    def body(self) -> dict[str, Any]:
        """The problem as JSON."""
        found: dict[str, Any] = {
            "type": self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        return found | ({"errors": self.errors} if self.errors else {})


def wrong(path: str, detail: str, status: int = 422) -> ProblemError:
    """The problem of one field or parameter; `detail` is a sentence that says what is wrong."""
    errors = [_error(path, detail)]
    return ProblemError(status, detail, kind="urn:shoal:problem:request", errors=errors)


def away(detail: str) -> ProblemError:
    """The problem of what may be answered in a moment."""
    headers = {"Retry-After": "1"}
    return ProblemError(503, detail, kind="urn:shoal:problem:away", headers=headers)


def unknown(what: str, name: str) -> ProblemError:
    """The problem of a thing that is not there."""
    return ProblemError(404, f"There is no {what} {name!r}.", kind="urn:shoal:problem:unknown")


def response(error: ProblemError) -> JSONResponse:
    """A problem as a response."""
    media = "application/problem+json"
    return JSONResponse(error.body, error.status, dict(error.headers or {}), media_type=media)


async def refuse(socket: WebSocket, error: ProblemError) -> None:
    """Close a WebSocket that was not accepted yet, in a way in which a browser learns why."""
    await socket.accept()
    await socket.close(4000 + error.status, error.detail[:120])


def install(app: FastAPI) -> None:
    """Make an application answer all its errors so."""

    @app.exception_handler(ProblemError)
    async def problem(request: Request | WebSocket, error: ProblemError) -> JSONResponse | None:
        if isinstance(request, WebSocket):
            await refuse(request, error)
            return None
        return response(error)

    @app.exception_handler(ConfigError)
    async def config(_: Request, error: ConfigError) -> JSONResponse:
        found = ProblemError(
            422,
            str(error),
            kind="urn:shoal:problem:config",
            title="The config is no experiment",
            errors=[p.model_dump() for p in error.problems],
        )
        return response(found)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        path, headers = request.url.path, dict(error.headers or {})
        kind, detail = "urn:shoal:problem:body", "The body is not JSON in UTF-8."
        if error.status_code == 404:
            kind, detail = PATH, f"There is nothing at {path}."
        elif error.status_code == 405:
            headers["Allow"] = ", ".join(_methods(app, request))
            kind, detail = PATH, f"{path} takes {headers['Allow']}, and not {request.method}."
        return response(ProblemError(error.status_code, detail, kind=kind, headers=headers))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return response(invalid_request(request, error))

    @app.exception_handler(TooLargeError)
    async def too_large(_: Request, error: TooLargeError) -> JSONResponse:
        detail = f"That is too much for one event: {error}."
        return response(ProblemError(413, detail, kind="urn:shoal:problem:body"))

    async def unanswered(_: Request, error: Exception) -> JSONResponse:
        log.warning("a request could not be answered: %r", error)
        name = "Redis" if isinstance(error, RedisError) else "NATS"
        detail = f"{name} does not answer. Try again in a moment; repeating does no harm."
        return response(away(detail))

    for kind in (RedisError, BusError, TimeoutError):
        app.add_exception_handler(kind, unanswered)

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        detail = f"The gateway failed ({type(error).__name__}); its log says more."
        return response(ProblemError(500, detail, kind="urn:shoal:problem:bug"))


def invalid_request(request: Request, error: RequestValidationError) -> ProblemError:
    """The problem of a request that is not as its route wants it."""
    found = error.errors()
    media = request.headers.get("content-type", "")
    if any(e["loc"] == ("body",) and e["type"] != "missing" for e in found) and not _JSON.match(
        media
    ):
        detail = f"Send the body as application/json{f', not as {media}' if media else ''}."
        return ProblemError(415, detail, kind="urn:shoal:problem:media")
    errors = [_told(e) for e in found]
    detail = "; ".join(f"{e['path']}: {e['message']}" for e in errors)
    return ProblemError(422, detail, kind="urn:shoal:problem:request", errors=errors)


def _told(error: Mapping[str, Any]) -> Wrong:
    """What pydantic found, in plain words."""
    place, context = error["loc"], error.get("ctx", {})
    if error["type"] == "json_invalid":
        return _error("body", f"it is no JSON: {context['error']}, at character {place[-1]}")
    path = ".".join(str(p) for p in place[1:]) or str(place[0])
    message = plain(str(error["msg"]))
    if error["type"] == "string_pattern_mismatch":
        message = f"{str(error['input'])[:100]!r} is not of the form {context['pattern']}"
        if choice := _CHOICE.fullmatch(context["pattern"]):
            names = choice["names"].replace("|", ", ")
            message = f"it takes one of {names}"
            message += ", with - from the greatest down" if choice["sign"] else ""
    return _error(path, message)


def _error(path: str, message: str) -> Wrong:
    return {"path": path, "message": message, "suggestion": None}


def _methods(app: FastAPI, request: Request) -> list[str]:
    """The methods that a path takes."""
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in app.router.routes
        )
    ]
