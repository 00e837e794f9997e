"""The provisioner's settings, from the environment."""

import os
from pathlib import Path

from pydantic import Field, SecretStr
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
    prices: str = ""
    """Path of a table of prices; empty: the one that ships. `catalogue`: that one, with what the
    Cloud Billing Catalogue says at the start."""
    billing_endpoint: str = "https://cloudbilling.googleapis.com"
    """Where the catalogue is."""
    cluster: str = Field(default="shoal", pattern=r"^[a-z][a-z0-9]{0,15}$")
    """This installation's name: the mark on its machines, and the beginning of their names. Two
    installations in one cloud project must differ in it."""
    compute_endpoint: str | None = None
    """Another address of Compute Engine than the public one, e.g. of Private Service Connect."""
    join_token: SecretStr = SecretStr("")
    """What workers on machines in a cloud or over ssh show to NATS (their SHOAL_NATS_TOKEN)."""


def environment() -> dict[str, str]:
    """What a local machine's worker inherits of this process's environment."""
    return {k: v for k, v in os.environ.items() if k != "SHOAL_REPLICA"}
