"""The gateway's settings, from `SHOAL_…` variables."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are, and how much is let in."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    redis_url: str = "redis://127.0.0.1:6379/0"
    storage_url: str = "file:///tmp/shoal"
    """An fsspec address, under which bundles and, unless the config says otherwise, checkpoints
    are kept. Workers must reach it by the same address."""
    replica: str = "gateway-0"
    host: str = "127.0.0.1"
    port: int = 8080
    max_bundle: int = 100 * 1024 * 1024
    """Bytes of a code bundle."""
    publish_timeout: float = 5.0
    """Seconds that a request waits for NATS before it is answered with 503."""
    read_timeout: float = 10.0
    """Seconds that a request waits for events that it reads from NATS; then it is a 503."""
    apply_timeout: float = 2.0
    """Seconds that an accepted request waits until reads show it."""
    keep_alive: float = 10.0
    """Seconds of silence after which an event stream gets a comment."""
    stall_timeout: float = 30.0
    """Seconds after which a reader of the event stream that takes nothing is dropped."""
