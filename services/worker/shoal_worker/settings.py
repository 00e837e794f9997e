"""The worker's settings, from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is read from `SHOAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    nats_token: SecretStr = SecretStr("")
    """What NATS wants to be shown by a worker that joins; empty: nothing."""
    nats_token_file: Path | None = None
    """A file with it, instead."""
    node_id: str = "node-0"
    instance_id: str | None = None
    """The provisioner's id of this machine, if it started it."""
    pool: str = "default"
    labels: dict[str, str] = Field(default_factory=dict)
    """What its operators say of it, as JSON, e.g. `{"rack": "b7"}`; experiments can ask for it."""
    slots: int = Field(default=0, ge=0)
    """Slots to offer; 0: one for each GPU, or for each core if there is none."""
    devices: Literal["auto", "cuda", "cpu"] = "auto"
    """What slots are. auto: GPUs if NVIDIA's driver shows any, else shares of the CPU."""
    host: str = ""
    """Address at which other machines reach this one's ranks; empty: `nic`'s, or 127.0.0.1."""
    nic: str = ""
    """The network interface for that, e.g. `eth0`; empty: the one that has the address `host`."""
    state_dir: Path = Path.home() / ".shoal" / "worker"
    warm: bool = True
    """Fork ranks from a process that has imported torch; false: start each from nothing."""
    warm_up: float = Field(default=60.0, gt=0)
    """Seconds from its start that ranks wait for that process; after that they are started from
    nothing until it is ready."""
    notice: float = Field(default=25.0, gt=0)
    """Seconds that runs get to checkpoint after a SIGTERM."""
    reserve: float = Field(default=1.0, ge=0)
    """GB that must be free where runs write; with less, this machine drains."""
    rank_memory: float = Field(default=0.0, ge=0)
    """GB of private memory that a rank may have; 0: no limit."""
    usage_interval: float = Field(default=15.0, gt=0)
    """Seconds between two reports of what a run uses."""
    log_lines: float = Field(default=1000.0, gt=0)
    """Lines a second that each rank's stdout and stderr may write, as events."""
    log_bytes: float = Field(default=1e6, gt=0)
    """Bytes a second, as well."""
    preload: str = ""
    """Further modules that the warm process imports, with commas between them."""
    metadata_url: str = ""
    """The cloud's metadata server, which knows of a preemption first; empty: there is none."""
    container_runtime: str = ""
    """`docker` or `podman`, where an experiment's image does not say; empty: what is there."""
    container_mounts: str = ""
    """Folders that containers may read, at the same places, with commas between them."""
    docker_host: str = Field(default="", validation_alias="DOCKER_HOST")
    podman_host: str = Field(default="", validation_alias="CONTAINER_HOST")
    podman_conf: str = Field(default="", validation_alias="CONTAINERS_CONF")
    runtime_dir: str = Field(default="", validation_alias="XDG_RUNTIME_DIR")
    secret_key: SecretStr = SecretStr("")
    """The gateway's: opens secrets and signs trials' tokens; empty: there are none."""
    url: str = ""
    """The gateway's address, for the programs of trials."""
    path: str = Field(default="/usr/local/bin:/usr/bin:/bin", validation_alias="PATH")
    home: str = Field(default="/", validation_alias="HOME")
    lang: str = Field(default="C.UTF-8", validation_alias="LANG")

    @property
    def token(self) -> str:
        """What NATS wants to be shown. Raises OSError if its file cannot be read."""
        if self.nats_token_file is not None:
            return self.nats_token_file.read_text().strip()
        return self.nats_token.get_secret_value()
