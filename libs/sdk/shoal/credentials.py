"""Where the platform is, and what to show it: from the environment, or from files under
`SHOAL_HOME` (`~/.shoal`)."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

DEFAULT_URL = "http://127.0.0.1:8080"


def find_url() -> str:
    """Where the platform is: `SHOAL_URL`, a platform that runs on this machine, or the default."""
    if url := os.environ.get("SHOAL_URL"):
        return url
    return str(_read("local.json").get("url", DEFAULT_URL))


def find_token(url: str) -> str | None:
    """What to show the platform at `url`: `SHOAL_TOKEN`, the token of the last `shoal login`
    there, or, for the platform that runs on this machine, the one in its folder."""
    if token := os.environ.get("SHOAL_TOKEN"):
        return token
    if isinstance(token := _read("credentials.json").get(_name(url)), str):
        return token
    local = _read("local.json")
    if _name(str(local.get("url"))) != _name(url):
        return None
    try:
        return (Path(local["state_dir"]) / "token").read_text().strip()
    except (OSError, KeyError, TypeError):
        return None


def line(url: str | None, token: str | None) -> tuple[str, dict[str, str]]:
    """The address of a platform, and the headers of every request to it; what is None is found."""
    address = _name(url or find_url())
    shown = token or find_token(address)
    return address, {"Authorization": f"Bearer {shown}"} if shown else {}


def remember(url: str, token: str | None) -> None:
    """Keep the token of a login, for this user's eyes alone; None: forget it."""
    kept = _read("credentials.json") | {_name(url): token}
    file = home() / "credentials.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump({name: text for name, text in kept.items() if text is not None}, out, indent=1)
    draft.replace(file)


def home() -> Path:
    """The user's own folder for Shoal."""
    return Path(os.environ.get("SHOAL_HOME") or Path.home() / ".shoal")


def _name(url: str) -> str:
    return url.rstrip("/")


def _read(name: str) -> dict[str, Any]:
    try:
        found = json.loads((home() / name).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
