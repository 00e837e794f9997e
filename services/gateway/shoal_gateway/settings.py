"""The gateway's settings, from `SHOAL_…` variables."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are, and how much is let in."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    redis_url: str = "redis://127.0.0.1:6379/0"
    storage_url: str = "file:///tmp/shoal"
    """An fsspec address, under which bundles and, unless the config says otherwise, checkpoints
    are kept. Workers must reach it by the same address."""
    feed_url: str = ""
    """A NATS server, with the gateway's user and password, for people who subscribe to events
    there; empty: there is none. It holds nothing else."""
    feed_public_url: str = ""
    """As those people reach it; empty: by the same address."""
    feed_key: SecretStr = SecretStr("")
    """The account key (`SA…`) whose public half that server has as the `issuer` of its auth
    callout: `shoal-gateway feed-key` draws one."""
    feed_account: str = "$G"
    """The account of that user."""
    feed_bytes: int = Field(default=256 * 2**20, ge=2**20)
    """Bytes of one workspace's events in the feed; beyond, the oldest leave it."""
    replica: str = "gateway-0"
    host: str = "127.0.0.1"
    port: int = 8080
    token_file: Path | None = None
    """Where the user of this machine finds a token; for a gateway on loopback alone."""
    owner: str = "local"
    """The name of that user."""
    login_lifetime: float = Field(default=12 * 3600, gt=0)
    """Seconds for which one is logged in."""
    secret_key: SecretStr = SecretStr("")
    """Seals secrets, and tells trials' tokens from others: 32 characters or more, which workers
    are given too; empty: there are neither."""
    webhook_networks: str = ""
    """Networks that are not public and that webhooks may lead to all the same, e.g.
    `10.1.0.0/16`, with commas between them."""
    public_url: str = "http://127.0.0.1:8080"
    """Where browsers reach the gateway."""
    forwarded_allow_ips: str = "127.0.0.1"
    """Addresses or networks of proxies, with commas between them, whose `X-Forwarded-For` says who
    asks; `*`: all. From others it counts for nothing."""
    cors_origins: str = ""
    """Origins whose pages may ask from a browser, e.g. `https://board.lab`, with commas between
    them; `*`: all. They show a token as everybody does: browsers send no cookies along."""
    oidc_issuer: str = ""
    """An OpenID Connect provider with which people log in; empty: none. It must know
    `<public_url>/v1/login/oidc/callback`."""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_role: Literal["viewer", "editor", "admin"] | None = None
    """What whoever logs in there for the first time may do in the whole cluster."""
    rate_limit: float = Field(default=2000, gt=0)
    """Requests a second with one token; twice as many may come at once."""
    login_rate: float = Field(default=0.2, gt=0)
    """Attempts to log in, a second, from one address; ten may come at once."""
    max_body: int = Field(default=8 * 1024 * 1024, gt=0)
    """Bytes of a request's body, but for bundles."""
    max_bundle: int = 100 * 1024 * 1024
    """Bytes of a code bundle."""
    max_artifact: int = Field(default=2**30, gt=0)
    """Bytes of a file that a run logs through MLflow's API."""
    publish_timeout: float = 5.0
    """Seconds that a request waits for NATS before it is answered with 503."""
    read_timeout: float = 10.0
    """Seconds that a request waits for events that it reads from NATS; then it is a 503."""
    apply_timeout: float = 2.0
    """Seconds that an accepted request waits until reads show it."""
    metrics_seconds: float = Field(default=60.0, gt=0)
    """Seconds after which new metric points are put into files."""
    metrics_memory: int = Field(default=256 * 2**20, ge=2**20)
    """Bytes of metric points of one kind in Redis: at half of it they are put into files at once;
    at all of it new ones wait in NATS."""
    metrics_cache: int = Field(default=2 * 2**30, ge=0)
    """Bytes of files of metric points that are kept on this machine, if storage is far."""
    keep_alive: float = 10.0
    """Seconds of silence after which an event stream gets a comment."""
    stall_timeout: float = 30.0
    """Seconds after which a reader of the event stream that takes nothing is dropped."""

    @property
    def origins(self) -> list[str]:
        """`cors_origins`, read."""
        return [o for text in self.cors_origins.split(",") if (o := text.strip().rstrip("/"))]

    @property
    def networks(self) -> list[IPv4Network | IPv6Network]:
        """`webhook_networks`, read. Raises ValueError for what is no network."""
        return [ip_network(text.strip()) for text in self.webhook_networks.split(",") if text]
