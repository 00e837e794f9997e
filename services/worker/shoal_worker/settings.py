"""The worker's settings, from the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is read from `SHOAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    node_id: str = "node-0"
    instance_id: str | None = None
    """The provisioner's id of this machine, if it started it."""
    pool: str = "default"
    slots: int = Field(default=0, ge=0)
    """CPU slots to offer; 0: one for each GPU, or for each core if there is none."""
    host: str = "127.0.0.1"
    """Address at which other machines reach this one's ranks."""
    state_dir: Path = Path.home() / ".shoal" / "worker"
    warm: bool = True
    """Fork ranks from a process that has imported torch; false: start each from nothing."""
    notice: float = Field(default=25.0, gt=0)
    """Seconds that runs get to checkpoint after a SIGTERM."""
    path: str = Field(default="/usr/local/bin:/usr/bin:/bin", validation_alias="PATH")
    home: str = Field(default="/", validation_alias="HOME")
    lang: str = Field(default="C.UTF-8", validation_alias="LANG")
