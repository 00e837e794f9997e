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
    reserve: float = Field(default=1.0, ge=0)
    """GB that must be free where runs write; with less, this machine drains."""
    rank_memory: float = Field(default=0.0, ge=0)
    """GB of private memory that a rank may have; 0: no limit."""
    usage_interval: float = Field(default=15.0, gt=0)
    """Seconds between two reports of what a run uses."""
    preload: str = ""
    """Further modules that the warm process imports, with commas between them."""
    metadata_url: str = ""
    """The cloud's metadata server, which knows of a preemption first; empty: there is none."""
    path: str = Field(default="/usr/local/bin:/usr/bin:/bin", validation_alias="PATH")
    home: str = Field(default="/", validation_alias="HOME")
    lang: str = Field(default="C.UTF-8", validation_alias="LANG")
