"""Tokens: drawn here, shown once, known by their SHA-256 afterwards."""

import hashlib
import time
from typing import Any

from shoal_contract.events.access import TokenIssued, TokenKind
from shoal_contract.roles import Role
from shoal_gateway.core.ledger.commands import IssueToken
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.ledger import Ledger

PREFIX = "shoal_"
"""So that a token is recognised where it should not be."""
DAY = 86400.0


def draw(draws: Draws) -> tuple[str, str]:
    """A new token, and its SHA-256."""
    text = PREFIX + draws.secret("token")
    return text, digest(text)


def digest(text: str) -> str:
    """The SHA-256 by which a token is known. Its 256 drawn bits need no slower hash."""
    return hashlib.sha256(text.encode()).hexdigest()


async def issue(
    ledger: Ledger,
    user: str,
    *,
    kind: TokenKind,
    seconds: float,
    name: str = "",
    scope: Role = Role.ADMIN,
    workspace: str | None = None,
    draws: Draws | None = None,
) -> dict[str, Any]:
    """Give a user a token that counts for so long; the answer is the only place where it shows."""
    draws = draws or Draws()
    text, sha256 = draw(draws)
    now = time.time()
    command = IssueToken(
        token_id=draws.id("token"),
        user=user,
        sha256=sha256,
        kind=kind,
        name=name,
        scope=scope,
        workspace=workspace,
        at=now,
        expires_at=now + seconds,
    )
    [issued] = [e for e in await ledger.do(command, draws.command) if isinstance(e, TokenIssued)]
    return {
        "token": text,
        "token_id": issued.token_id,
        "user": user,
        "expires_at": issued.expires_at,
    }
