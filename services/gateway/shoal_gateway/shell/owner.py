"""How a gateway's first user comes in: by a printed token, or, on loopback, by a file."""

import asyncio
import contextlib
import ipaddress
import os
import secrets
import sys
import time
from pathlib import Path

from shoal_bus.cancelling import stop_if_cancelled
from shoal_contract.roles import Role
from shoal_gateway.core.ledger.caller import caller_of
from shoal_gateway.core.ledger.commands import EnsureOwner, OpenSetup
from shoal_gateway.shell.draws import Draws
from shoal_gateway.shell.ledger import Ledger
from shoal_gateway.shell.tokens import DAY, digest, draw, issue

LIFETIME = 7 * DAY
LOOK = 3600.0
"""Seconds between two looks at the file."""


async def open_setup(ledger: Ledger) -> None:
    """Print a token that makes the first administrator, unless there are users."""
    if ledger.state.users:
        return
    text, sha256 = draw(Draws())
    await ledger.do(OpenSetup(sha256))
    note = f"Nobody can log in yet. Make the first administrator: shoal login --setup {text}"
    print(note, file=sys.stderr, flush=True)


async def log_in(ledger: Ledger, user: str, file: Path, host: str) -> None:
    """Keep a token for the user of this machine in a file that only that user can read.

    Raises ValueError if the gateway listens on more than loopback.
    """
    if not _is_loopback(host):
        raise ValueError(f"SHOAL_TOKEN_FILE is for a gateway on loopback, and not on {host}")
    await ledger.do(EnsureOwner(user, time.time()))
    if not _counts(ledger, user, file):
        made = await issue(ledger, user, kind="api", seconds=LIFETIME, name="this machine")
        _write(file, made["token"])


async def stay_logged_in(ledger: Ledger, user: str, file: Path, host: str) -> None:
    """Renew the token before it expires, until cancelled."""
    while True:
        stop_if_cancelled()
        await asyncio.sleep(LOOK)
        await log_in(ledger, user, file, host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _counts(ledger: Ledger, user: str, file: Path) -> bool:
    """Whether the file's token counts for half of its lifetime yet."""
    with contextlib.suppress(OSError):
        sha256 = digest(file.read_text().strip())
        caller = caller_of(ledger.state, sha256, time.time() + LIFETIME / 2)
        return caller is not None and caller.user == user and caller.rules(Role.ADMIN)
    return False


def _write(file: Path, text: str) -> None:
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text + "\n")
    draft.replace(file)
