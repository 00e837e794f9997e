"""Answering a NATS server that asks who connects to it: its auth callout (ADR-26,
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-26.md).

The server sends what the client showed, and is answered with the client's rights: JSON Web Tokens,
signed with the account key (Ed25519) whose public half is the `issuer` in the server's config.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nkeys
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

log = logging.getLogger(__name__)

SUBJECT = "$SYS.REQ.USER.AUTH"
"""The server lets no client publish under it."""
VERSION = 2
"""Of the claims: https://github.com/nats-io/jwt."""
LARGEST = 64 * 1024
"""Bytes of a message that a client may send: its requests to JetStream are small."""
MOST = 256
"""Subscriptions of one client."""


class IssuerError(ValueError):
    """A key that is none. The text does not show it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody who connects has shown."""

    user_nkey: str
    """The key by which the server knows this connection."""
    server: str
    """The key of the server that asks."""
    secret: str
    """The token, or the password."""
    host: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody who connected may do, as subjects with wildcards, and until when."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    expires_at: float
    """Unix seconds; then the server ends the connection."""


class Issuer:
    """An account key, from its seed (`SA…`). Raises IssuerError if that is none."""

    def __init__(self, seed: str) -> None:
        try:
            self._pair = nkeys.from_seed(bytearray(seed.encode()))
            self.public = self._pair.public_key.decode()
        except (nkeys.NkeysError, binascii.Error, ValueError) as error:
            raise IssuerError("SHOAL_FEED_KEY must be the seed of an account key, SA…") from error
        if not self.public.startswith("A"):
            raise IssuerError("SHOAL_FEED_KEY is of another kind: an account's seed begins with SA")
        self._seed = seed.encode()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims, and the issuer's."""
        whole = {**claims, "iss": self.public}
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).digest()
        whole["jti"] = base64.b32encode(digest).decode().rstrip("=")
        text = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(whole)}"
        return f"{text}.{_encoded(self._pair.sign(text.encode()))}"

    def derived(self, purpose: str) -> str:
        """32 hexadecimal digits that only the holder of the key can know."""
        return hmac.new(self._seed, purpose.encode(), hashlib.sha256).hexdigest()[:32]


def draw_issuer() -> str:
    """The seed of a new account key."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_ACCOUNT)
    return bytes(seed).decode()


def read(data: bytes) -> Asked | None:
    """What a server asks; None if it is no such question.

    Its signature says nothing: there is no list of servers to compare it with. Who may send under
    the subject is the server's business.
    """
    try:
        part = data.decode().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        asked, shown = claims["nats"], claims["nats"]["connect_opts"]
        return Asked(
            user_nkey=str(asked["user_nkey"]),
            server=str(asked["server_id"]["id"]),
            secret=str(shown.get("auth_token") or shown.get("pass") or ""),
            host=str(asked["client_info"].get("host", "")),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def user_claims(asked: Asked, grant: Grant, account: str, now: float) -> dict[str, Any]:
    """What a server is told about a client that it may let in."""
    return {
        "sub": asked.user_nkey,
        "aud": account,
        "name": grant.name,
        "iat": int(now),
        "exp": int(grant.expires_at),
        "nats": {
            "type": "user",
            "version": VERSION,
            "pub": {"allow": list(grant.publish)},
            "sub": {"allow": list(grant.subscribe)},
            "subs": MOST,
            "data": -1,
            "payload": LARGEST,
        },
    }


def answer_claims(asked: Asked, now: float, *, jwt: str = "", error: str = "") -> dict[str, Any]:
    """The answer to a server: a client's token, or why there is none."""
    said = {"jwt": jwt} if jwt else {"error": error}
    return {
        "sub": asked.user_nkey,
        "aud": asked.server,
        "iat": int(now),
        "nats": {"type": "authorization_response", "version": VERSION, **said},
    }


async def answer(
    nc: Client, issuer: Issuer, account: str, decide: Callable[[Asked], Awaitable[Grant | None]]
) -> None:
    """Answer servers from now on; replicas share the questions. What `decide` raises is logged, and
    the client is refused."""

    async def reply(msg: Msg) -> None:
        asked = read(msg.data)
        if asked is None:
            return
        now = time.time()
        try:
            grant = await decide(asked)
        except Exception:
            log.exception("who connects from %s could not be decided", asked.host)
            grant = None
        if grant is None or grant.expires_at <= now:
            claims = answer_claims(asked, now, error="this token does not count here")
        else:
            told = issuer.sign(user_claims(asked, grant, account, now))
            claims = answer_claims(asked, now, jwt=told)
        try:
            await msg.respond(issuer.sign(claims).encode())
        except (NatsError, OSError) as error:
            log.info("a server could not be answered (%r)", error)

    await nc.subscribe(SUBJECT, queue="shoal", cb=reply)


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
