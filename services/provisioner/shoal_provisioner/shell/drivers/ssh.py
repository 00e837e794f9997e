"""Machines that are there anyway, listed in a file: a worker is started on one and drained, the
machine itself is neither made nor deleted. What runs where is noted on the machines themselves."""

import asyncio
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from shoal_contract.base import Strict
from shoal_provisioner.shell.drivers.base import Machine, Order, StartError

log = logging.getLogger(__name__)

_IS_OURS = """
root="$HOME/.shoal/machines"
alive() {  # a worker that runs as this machine: the process number alone may be another's by now
  pid=$(cat "$root/$1/pid" 2>/dev/null) || return 1
  [ "$(tr '\\0' '\\n' 2>/dev/null <"/proc/$pid/environ" | grep -x "SHOAL_INSTANCE_ID=$1")" ]
}
ours() { [ "$(cat "$root/$1/cluster" 2>/dev/null)" = "$SHOAL_CLUSTER" ]; }
"""
_LIST = (
    _IS_OURS
    + """
for d in "$root"/*/; do
  id=$(basename "$d")
  ours "$id" && echo "$id $(cat "$d/pool") $(alive "$id" && echo up)"
done
exit 0
"""
)
_START = (
    _IS_OURS
    + """
id=$SHOAL_INSTANCE_ID
if [ -e "$root/$id/pid" ]; then alive "$id" && exit 0; exit 3; fi
for d in "$root"/*/; do alive "$(basename "$d")" && exit 4; done
mkdir -p "$root/$id" && cd "$root/$id" || exit 5
echo "$SHOAL_CLUSTER" >cluster; echo "$SHOAL_POOL" >pool
SHOAL_STATE_DIR="$root/$id"; export SHOAL_STATE_DIR
eval "setsid $COMMAND >worker.log 2>&1 </dev/null &"
echo $! >pid
n=0; until alive "$id"; do
  n=$((n+1)); [ $n -gt 50 ] && { tail -n 5 worker.log; exit 6; }
  sleep 0.1
done
"""
)
_STOP = (
    _IS_OURS
    + """
id=$SHOAL_INSTANCE_ID
ours "$id" || exit 0
alive "$id" || exit 0
kill -TERM "$pid"
n=0; while alive "$id" && [ $n -lt $GRACE ]; do sleep 0.2; n=$((n+1)); done
alive "$id" && kill -KILL -"$pid" 2>/dev/null
exit 0
"""
)
_REFUSED = {
    3: ("has ended; a machine is never started twice", "other"),
    4: ("has a worker already", "stock_out"),
    255: ("cannot be reached", "stock_out"),
}


class SshHost(Strict):
    """One machine."""

    host: str = Field(pattern=r"^[A-Za-z0-9@._:-]+$")
    """Where `ssh` reaches it: `gpu1.lab` or `user@10.0.0.5`; keys and ports as `ssh` knows them."""
    address: str
    """Where other machines reach its ranks."""
    slots: int = Field(ge=1)
    python: str = "/opt/shoal/bin/python"
    """The interpreter there that has the worker."""


class HostsError(ValueError):
    """The file of machines is wrong; the text says where."""


def read_hosts(path: str) -> list[SshHost]:
    """The machines listed in a YAML file. Raises HostsError."""
    try:
        return TypeAdapter(list[SshHost]).validate_python(yaml.safe_load(Path(path).read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise HostsError(f"the file of machines {path}: {error}") from error


@dataclass(slots=True)
class SshDriver:
    """Starts workers over ssh. Its machines have no zones and are never spot."""

    cluster: str
    nats_url: str
    hosts: Sequence[SshHost]
    join_token: str = ""
    command: Sequence[str] = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
    worker: Sequence[str] = ("-m", "shoal_worker")
    poll: float = 10.0
    _last: dict[str, dict[str, Machine]] = field(default_factory=dict)
    """Host to what ran there when it was reached last."""
    _ended: set[str] = field(default_factory=set)

    async def start(self, orders: Sequence[Order]) -> dict[str, StartError]:
        """Start workers on machines that have none and as many slots as are wanted."""
        at = {machine.instance_id: host for host, machine in await self._everything()}
        used = {host.host for host in at.values()}
        failed: dict[str, StartError] = {}
        for order in orders:
            if order.instance_id in at:
                continue
            if order.instance_id in self._ended:
                text, _ = _REFUSED[3]
                failed[order.instance_id] = StartError(f"{order.instance_id} {text}")
                continue
            fit = [h for h in self.hosts if h.host not in used and h.slots == order.slots]
            text = f"all machines with {order.slots} slots are in use"
            found: StartError | None = StartError(text, "stock_out")
            for host in fit:
                found = await self._start(host, order)
                used.add(host.host)
                if found is None or found.cause != "stock_out":
                    break  # it runs there, or was tried there
            if found is not None:
                failed[order.instance_id] = found
        return failed

    async def _start(self, host: SshHost, order: Order) -> StartError | None:
        env = {
            "SHOAL_NATS_URL": self.nats_url,
            "SHOAL_NODE_ID": order.instance_id,
            "SHOAL_INSTANCE_ID": order.instance_id,
            "SHOAL_POOL": order.pool,
            "SHOAL_SLOTS": str(order.slots),
            "SHOAL_HOST": host.address,
            "SHOAL_NATS_TOKEN": self.join_token,
            "COMMAND": shlex.join([host.python, *self.worker]),
        }
        code, said = await self._run(host, _START, env)
        if code == 0:
            return None
        text, cause = _REFUSED.get(code, (f"answered {code}: {said.strip()[-300:]}", "other"))
        subject = order.instance_id if code == 3 else host.host
        return StartError(f"{subject} {text}", "stock_out" if cause == "stock_out" else "other")

    async def stop(self, instance_id: str, zone: str, grace: float, *, told: bool = False) -> None:
        """Drain the worker; the machine stays."""
        env = {"SHOAL_INSTANCE_ID": instance_id, "GRACE": str(round(grace * 5))}
        for host, machine in await self._everything():
            if machine.instance_id == instance_id:
                await self._run(host, _STOP, env)

    async def machines(self) -> list[Machine]:
        """Those with a worker of ours. A machine that cannot be reached is taken to be as it was:
        the silence of a network is no end of a machine."""
        return [machine for _, machine in await self._everything()]

    async def was_preempted(self, instance_id: str, zone: str) -> bool:
        """Nobody takes them back."""
        return False

    async def _everything(self) -> list[tuple[SshHost, Machine]]:
        found = await asyncio.gather(*(self._on(host) for host in self.hosts))
        return [(h, m) for h, its in zip(self.hosts, found, strict=True) for m in its.values()]

    async def _on(self, host: SshHost) -> Mapping[str, Machine]:
        code, said = await self._run(host, _LIST, {})
        if code != 0:
            log.warning("%s cannot be reached: %s", host.host, said.strip()[-300:])
            return self._last.get(host.host, {})
        found: dict[str, Machine] = {}
        for line in said.splitlines():
            name, pool, up = [*line.split(" "), ""][:3]
            if up:
                found[name] = Machine(pool, name, kind="ssh", zone="ssh")
            else:
                self._ended.add(name)
        self._last[host.host] = found
        return found

    async def _run(self, host: SshHost, script: str, env: Mapping[str, str]) -> tuple[int, str]:
        """The script on a machine; it comes by stdin, so no secret stands in a process list."""
        both = {**env, "SHOAL_CLUSTER": self.cluster}
        lines = [f"{name}={shlex.quote(value)}; export {name}\n" for name, value in both.items()]
        process = await asyncio.create_subprocess_exec(
            *self.command, host.host, "sh", "-s",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate("".join([*lines, script]).encode())
        return process.returncode or 0, said.decode(errors="replace")
