"""Every error as RFC 9457 `application/problem+json`."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from shoal_bus.bus import BusError, TooLargeError
from shoal_contract.parse import ConfigError

log = logging.getLogger(__name__)


class ProblemError(Exception):
    """A request that is answered with a problem. `detail` says what to do about it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "about:blank",
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.kind = status, detail, kind
        self.title, self.headers = title or HTTPStatus(status).phrase, headers


def unknown(what: str, name: str) -> ProblemError:
    """The problem of a thing that is not there."""
    return ProblemError(404, f"There is no {what} {name!r}.", kind="urn:shoal:problem:unknown")


def response(
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    title: str | None = None,
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem as a response."""
    body: dict[str, Any] = {
        "type": kind,
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = errors
    media = "application/problem+json"
    return JSONResponse(body, status, dict(headers or {}), media_type=media)


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
        return response(
            error.status,
            error.detail,
            kind=error.kind,
            title=error.title,
            headers=error.headers,
        )

    @app.exception_handler(ConfigError)
    async def config(_: Request, error: ConfigError) -> JSONResponse:
        return response(
            422,
            str(error),
            kind="urn:shoal:problem:config",
            title="The config is no experiment",
            errors=[p.model_dump() for p in error.problems],
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        detail = str(error.detail)
        if error.status_code == 404:
            detail = f"There is nothing at {request.url.path}."
        elif error.status_code == 405:
            detail = f"{request.method} is not possible at {request.url.path}."
        return response(error.status_code, detail, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {
                "path": ".".join(str(p) for p in e["loc"][1:]) or str(e["loc"][0]),
                "message": e["msg"][:1].lower() + e["msg"][1:],
                "suggestion": None,
            }
            for e in error.errors()
        ]
        detail = "; ".join(f"{e['path']}: {e['message']}" for e in errors)
        return response(422, detail, kind="urn:shoal:problem:request", errors=errors)

    @app.exception_handler(TooLargeError)
    async def too_large(_: Request, error: TooLargeError) -> JSONResponse:
        return response(413, f"That is too much for one event: {error}.")

    async def away(_: Request, error: Exception) -> JSONResponse:
        log.warning("a request could not be answered: %r", error)
        name = "Redis" if isinstance(error, RedisError) else "NATS"
        detail = f"{name} does not answer. Try again in a moment; repeating does no harm."
        return response(503, detail, headers={"Retry-After": "1"})

    for kind in (RedisError, BusError, TimeoutError):
        app.add_exception_handler(kind, away)

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        return response(500, f"The gateway failed ({type(error).__name__}); its log says more.")
