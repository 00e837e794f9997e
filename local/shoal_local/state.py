"""What is known of a running local platform, in one small file that other commands read."""

import json
import os
import secrets
from pathlib import Path

import psutil
from pydantic import BaseModel


class PlatformState(BaseModel, frozen=True):
    """The content of `local.json`."""

    url: str
    """The gateway's address."""
    nats_url: str
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
    """The key of the platform in a folder, drawn at its first start; only its user can read it."""
    file = state_dir / "secret.key"
    if not file.exists():
        draft = state_dir / f"secret.key.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(48))
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
