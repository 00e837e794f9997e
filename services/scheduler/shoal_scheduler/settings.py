"""The scheduler's settings, from the environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is read from `SHOAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    replica: str = "scheduler-0"
    """This replica's name; a process that comes back under it takes over at once."""
    node_timeout: float = Field(default=10.0, gt=0)
    """Seconds of silence after which a node counts as lost."""
    sharing: str = "{}"
    """How pools are shared, as YAML or JSON, or the path of a file with it; see `core/pools.py`:
    `{pools: {gpus: {policy: fair_share}}, workspaces: {bio: {max_slots: 32}}}`."""
