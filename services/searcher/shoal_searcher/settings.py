"""The searcher's settings, from the environment."""

import os

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is read from `SHOAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    replica: str = "searcher-0"
    """This replica's name; a process that comes back under it takes over at once."""
    samplers: int = Field(default_factory=lambda: min(8, max(2, os.cpu_count() or 1)), ge=1, le=64)
    """Processes in which samplers compute, at most; the first is started at once."""
    shards: int = Field(default=1, ge=1, le=256)
    """Into how many parts the experiments are divided, for replicas to share. All replicas must
    have the same; at 1 one of them decides and the others stand by."""
