"""What is known of a running local platform, in one small file that other commands read."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import nkeys
import psutil
from pydantic import BaseModel


class PlatformState(BaseModel, frozen=True):
    """The content of `local.json`."""

    url: str
    """The gateway's address."""
    nats_url: str
    feed_url: str = ""
    """Where people subscribe to events, with their tokens."""
    pid: int
    """The supervisor."""
    create_time: float
    """The supervisor's start, in Unix seconds: a pid alone may have been given to another."""
    state_dir: str


def home() -> Path:
    """The folder of `local.json`: `SHOAL_HOME`, or `~/.shoal`."""
    return Path(os.environ.get("SHOAL_HOME") or Path.home() / ".shoal")


def read() -> PlatformState | None:
    """The platform that runs, or None. A file left by one that died counts as none."""
    try:
        state = PlatformState.model_validate_json((home() / "local.json").read_text())
    except (OSError, ValueError):
        return None
    return state if is_alive(state.pid, state.create_time) else None


def write(state: PlatformState) -> None:
    """Tell other commands about the platform."""
    home().mkdir(parents=True, exist_ok=True)
    draft = home() / f"local.json.{state.pid}"
    draft.write_text(json.dumps(state.model_dump(), indent=1))
    draft.replace(home() / "local.json")


def forget(pid: int) -> None:
    """Remove the file, if it is of the supervisor `pid`."""
    try:
        state = PlatformState.model_validate_json((home() / "local.json").read_text())
    except (OSError, ValueError):
        return
    if state.pid == pid:
        (home() / "local.json").unlink(missing_ok=True)


def secret_key(state_dir: Path) -> str:
    """The key of the platform in a folder."""
    return _kept(state_dir / "secret.key", lambda: secrets.token_urlsafe(48))


def feed_key(state_dir: Path) -> str:
    """The seed of the account key with which its gateway says who may read the feed."""
    raw = secrets.token_bytes(32)
    return _kept(
        state_dir / "feed.key", lambda: nkeys.encode_seed(raw, nkeys.PREFIX_BYTE_ACCOUNT).decode()
    )


def feed_password(state_dir: Path) -> str:
    """What the gateway itself shows the feed's server."""
    return _kept(state_dir / "feed.password", lambda: f"p{secrets.token_hex(24)}")


def _kept(file: Path, draw: Callable[[], str]) -> str:
    """A secret, drawn at the platform's first start; only its user can read it."""
    if not file.exists():
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(draw())
        draft.replace(file)
    return file.read_text()


def is_alive(pid: int, create_time: float) -> bool:
    """Whether the process `pid` that started at `create_time` still runs."""
    try:
        process = psutil.Process(pid)
        return (
            abs(process.create_time() - create_time) < 1
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False
