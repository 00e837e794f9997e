"""The provisioner's settings, from the environment."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is read from `SHOAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    replica: str = "provisioner-0"
    """This replica's name; a process that comes back under it takes over at once."""
    state_dir: Path = Path.home() / ".shoal" / "provisioner"
    """Where the local driver keeps its machines' files."""
    pools: str = '[{"name": "default"}]'
    """A list of pools as YAML or JSON, or the path of a file with one."""


def environment() -> dict[str, str]:
    """What a local machine's worker inherits of this process's environment."""
    return {k: v for k, v in os.environ.items() if k != "SHOAL_REPLICA"}
