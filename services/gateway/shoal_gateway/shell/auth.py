"""The gate that every request passes: who asks, how often, and how much is sent.

It stands before all routes, those of other rooms and of the documentation too: what is not named
in `OPEN` needs a token that counts.
"""

import base64
import contextlib
import logging
import re
import time
from typing import Any

from redis.exceptions import RedisError
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal_bus.bus import AWAY
from shoal_gateway.core.ledger.caller import Caller, caller_of
from shoal_gateway.shell import problems
from shoal_gateway.shell.audit import Record
from shoal_gateway.shell.bodies import checked
from shoal_gateway.shell.limits import Limit
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.problems import ProblemError
from shoal_gateway.shell.tokens import PREFIX, digest
from shoal_gateway.shell.trial_callers import trial_of

log = logging.getLogger(__name__)

OPEN = frozenset(
    {
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("POST", "/v1/login"),
        ("POST", "/v1/login/setup"),
        ("GET", "/v1/login/oidc"),
        ("GET", "/v1/login/oidc/callback"),
        ("POST", "/v1/login/oidc/token"),
    }
)
"""All that is answered without a token."""
PAGES = ("/docs", "/openapi.json")
"""What people read in browsers, which ask for a name and a password and show nothing else: there a
token is the password, by whatever name."""
PROBES = ("/livez", "/readyz")
OPEN_BODY = 16 * 1024
"""Bytes that the body of a request without a token may have."""
WITH_PASSWORD = re.compile(r"POST /v1/login(/setup)?|PUT /v1/users/[^/]+/password")
"""Where one could guess."""
LOGINS_AT_ONCE = 10
VOID = "This token does not count: it has expired, was revoked, or never was."
FRESH = 1.0
"""Seconds after which a reader is looked up again though nothing happened in the ledger: tokens
expire, and a trial's counts while its attempt holds slots."""
REPORTS = re.compile(r"/mlflow/.*/((log-[a-z]+|set-tag|delete-tag|search)|artifacts/.*)", re.DOTALL)
"""What runs report, and questions: they are not in the audit log."""
READS = ("GET", "HEAD", "OPTIONS")


class Gate:
    """Lets a request through with its `Caller` in its state, or answers it."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app, self._parts = app, parts
        settings, redis = parts.settings, parts.store.redis
        burst = max(1, int(2 * settings.rate_limit))
        self._requests = Limit(redis, "token", settings.rate_limit, burst)
        self._logins = Limit(redis, "login", settings.login_rate, LOGINS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or one connection of a WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope.get("method", "GET") in READS or REPORTS.fullmatch(scope["path"]):
            await self._answer(scope, receive, send)
            return
        record = Record(self._parts, scope, send)
        try:
            await self._answer(scope, receive, record.send)
        except Exception:
            await record.write(500)
            raise

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = None
        try:
            scope["state"]["caller"] = await self._admit(scope)
            if scope["type"] == "http":
                known = scope["state"]["caller"] is not None
                most = self._parts.settings.max_body if known else OPEN_BODY
                receive = await checked(scope, receive, most)
        except ProblemError as error:
            await _refuse(error, scope, receive, send)
        except (RedisError, TimeoutError, *AWAY) as error:
            log.warning("a caller could not be looked up: %r", error)
            await _refuse(problems.away("Try again in a moment."), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Caller | None:
        """Who asks; None only where nobody needs to be known. Raises ProblemError."""
        text = bearer(HTTPConnection(scope))
        caller = None if text is None else await _holder(self._parts, text)
        await self._count(scope, caller)
        if caller is None and (scope.get("method"), scope["path"]) not in OPEN:
            if scope["path"] in PAGES:
                detail = "Log in with any name and a token as the password: `shoal docs` makes one."
                raise _unknown(detail, 'Basic realm="Shoal", charset="UTF-8"')
            if text is None:
                raise _unknown("Log in first: `shoal login`, or set SHOAL_TOKEN.")
            raise _unknown(VOID)
        return caller

    async def _count(self, scope: Scope, caller: Caller | None) -> None:
        """Raise ProblemError for one request too many. Without Redis nobody can log in; those who
        have are not counted."""
        address = (scope.get("client") or ("",))[0]
        if WITH_PASSWORD.fullmatch(f"{scope.get('method')} {scope['path']}"):
            await self._logins.take(address)
        elif scope["path"] not in PROBES:
            with contextlib.suppress(RedisError):
                await self._requests.take(address if caller is None else caller.token_id)


async def _holder(use: Parts, text: str) -> Caller | None:
    """Whom a token stands for now."""
    if text.startswith(PREFIX):
        return caller_of(use.ledger.state, digest(text), time.time())
    return await trial_of(use, text)


def bearer(connection: HTTPConnection) -> str | None:
    """The token that came with a request, if any. A browser's WebSocket sends no headers of one's
    own: there it is the subprotocol `bearer.<token>`."""
    for name in connection.scope.get("subprotocols", ()):
        if name.startswith("bearer."):
            return str(name.removeprefix("bearer."))
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and connection.scope["path"] in PAGES:
        return _password(text)
    return text.strip() if scheme.lower() == "bearer" and text else None


def _password(text: str) -> str | None:
    """The password of a basic authentication (RFC 7617), if it has one."""
    try:
        _, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password.strip() or None


def caller(connection: HTTPConnection) -> Caller:
    """Who makes a request. For routes that the gate does not leave open."""
    found: Any = connection.state.caller
    if not isinstance(found, Caller):
        raise _unknown("Log in first.")
    return found


class Standing:
    """Who reads a stream: looked up again as long as it goes on, since what was allowed when it
    began may not be any more."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._use: Parts = connection.app.state.parts
        self._text = bearer(connection) or ""
        self._who: Caller | None = caller(connection)
        self._at, self._until = self._use.ledger.at, time.monotonic() + FRESH

    async def __call__(self) -> Caller:
        """The caller as of now. Raises ProblemError (401) once the token does not count."""
        at, now = self._use.ledger.at, time.monotonic()
        if at != self._at or now >= self._until:
            self._who = await _holder(self._use, self._text)
            self._at, self._until = at, now + FRESH
        if self._who is None:
            raise _unknown(VOID)
        return self._who


def _unknown(detail: str, challenge: str = "Bearer") -> ProblemError:
    headers = {"WWW-Authenticate": challenge}
    return ProblemError(401, detail, kind="urn:shoal:problem:login", headers=headers)


async def _refuse(error: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send(_closing(error))
    else:
        await problems.response(error)(scope, receive, send)


def _closing(error: ProblemError) -> Message:
    return {"type": "websocket.close", "code": 4000 + error.status, "reason": error.detail}
