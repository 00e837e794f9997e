"""Ranks in containers: the command lines of docker and podman.

A container sees the run's folder, the line's socket, storage on this machine's disk, what the
worker's settings mount, and its own GPUs; it has the machine's network and shared memory, so that
ranks meet as they do without one, and none of the worker's environment.
https://docs.docker.com/reference/cli/docker/container/run/
https://docs.podman.io/en/stable/markdown/podman-run.1.html
"""

import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shoal_contract.config import ENGINES_OWN
from shoal_contract.events import Slot

Kind = Literal["docker", "podman"]
KINDS: tuple[Kind, ...] = ("docker", "podman")

FAILED = 125
"""With which `run` ends where the engine itself failed.
https://docs.docker.com/reference/cli/docker/container/run/#exit-status"""
_NO_IMAGE = re.compile(
    "|".join(
        (
            "invalid reference format",
            "pull access denied",
            "access to the resource is denied",
            "repository .*(does not exist|not found)",
            "manifest (for .* not found|unknown)",
            "no such image",
            "name unknown",
            "image not known",
        )
    ),
    re.IGNORECASE,
)
"""What docker and podman say where no registry has such an image for this user."""


class EngineError(RuntimeError):
    """This machine cannot run containers as wanted; the text says why."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine of this machine."""

    kind: Kind
    command: str
    """Its path."""

    def stop(self, name: str, seconds: int) -> list[str]:
        """SIGTERM now, SIGKILL after `seconds`."""
        return [self.command, "stop", "-t", str(seconds), name]

    def remove(self, name: str) -> list[str]:
        """SIGKILL, and nothing left."""
        return [self.command, "rm", "--force", name]


def find(wanted: Kind | None, preferred: str, path: str) -> Engine:
    """The engine that the experiment wants, or the setting, or the first on `path`.

    Raises EngineError where there is none.
    """
    kinds = [wanted] if wanted else [k for k in KINDS if preferred in ("", k)]
    for kind in kinds:
        if (command := shutil.which(kind, path=path)) is not None:
            return Engine(kind, command)
    if not kinds:
        raise EngineError(f"SHOAL_CONTAINER_RUNTIME is {preferred!r}, not docker or podman")
    lacking = f"no {kinds[0]}" if len(kinds) == 1 else "neither docker nor podman"
    raise EngineError(f"this machine has {lacking}: install it, or leave environment.image out")


@dataclass(frozen=True, slots=True)
class Boxing:
    """What a worker's settings say about containers."""

    preferred: str = ""
    """`docker`, `podman`, or nothing: what this machine has."""
    own: Mapping[str, str] = field(default_factory=dict)
    """The environment that engines need themselves."""
    mounts: Sequence[str] = ()
    """Folders of this machine that ranks may read."""


@dataclass(frozen=True, slots=True)
class Box:
    """One rank's container."""

    name: str
    image: str
    arguments: Sequence[str]
    """The command of the rank."""
    folder: str
    """Where it starts."""
    env: Mapping[str, str]
    """The rank's environment, but for what the image knows better."""
    writable: Sequence[str]
    """Folders of this machine that it sees, at the same places."""
    readable: Sequence[str]
    devices: Sequence[Slot]
    """GPUs that it sees."""
    user: tuple[int, int]
    """Ids of user and group: the worker's, so that files are too."""
    memory: int
    """Bytes; 0: no limit."""
    files: int
    """How many it may have open."""


def run(engine: Engine, box: Box, own: Mapping[str, str]) -> list[str]:
    """The command that runs a container and ends with its exit code.

    Since anybody may read a command, values of the rank's environment are not in it: the engine
    takes them from its own, which is to be `outer`. Those that would mean something to the engine
    itself, such as what is in `own`, are.
    """
    uid, gid = box.user
    command = [
        engine.command, "run", "--rm", "--init", "--name", box.name,
        "--network", "host", "--ipc", "host", "--user", f"{uid}:{gid}",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--security-opt", "label=disable",
        "--ulimit", "core=0:0", "--ulimit", f"nofile={box.files}:{box.files}",
        "--workdir", box.folder,
    ]  # fmt: skip
    if engine.kind == "podman" and uid != 0:
        command += ["--userns", "keep-id"]
    if box.memory:
        command += ["--memory", str(box.memory)]
    for folder in dict.fromkeys(box.writable):
        command += ["--volume", f"{folder}:{folder}"]
    for folder in dict.fromkeys(box.readable):
        command += ["--volume", f"{folder}:{folder}:ro"]
    command += _gpus(engine, box.devices)
    for name, value in {"HOME": box.folder, **box.env}.items():  # not to be the worker's
        command += ["--env", f"{name}={value}" if _heeded(name, own) else name]
    return [*command, "--entrypoint", box.arguments[0], box.image, *box.arguments[1:]]


def outer(box: Box, own: Mapping[str, str]) -> dict[str, str]:
    """The environment of the engine's command."""
    return {**{name: v for name, v in box.env.items() if not _heeded(name, own)}, **own}


def _heeded(name: str, own: Mapping[str, str]) -> bool:
    """Whether the engine itself heeds a variable."""
    return name in own or name == "HOME" or name.startswith(ENGINES_OWN)


def signal_of(code: int) -> int:
    """An exit code of a container as those of processes are: a signal's is negative."""
    return 128 - code if code - 128 in signal.valid_signals() else code


def failure(code: int, said: Sequence[str]) -> tuple[str, bool]:
    """What an engine says, by its last lines, if with this exit code it could not run a container
    (else nothing), and whether that is the machine's fault: not that of the image's name."""
    if code != FAILED:
        return "", False
    line = next((line for line in said if line.startswith(("docker:", "Error"))), "")
    line = line or (said[-1] if said else "the container engine failed")
    return line, not any(_NO_IMAGE.search(other) for other in said)


def _gpus(engine: Engine, devices: Sequence[Slot]) -> list[str]:
    if not devices:
        return []
    if engine.kind == "docker":  # its value is a line of CSV, hence the quotes
        ids = ",".join(slot.uuid or str(slot.number) for slot in devices)
        return ["--gpus", f'"device={ids}"']
    return [x for slot in devices for x in ("--device", f"nvidia.com/gpu={slot.number}")]


def local(url: str) -> list[str]:
    """The folder of an address of storage, if it is on this machine's disk."""
    scheme, found, path = url.partition("://")
    if found and scheme not in ("file", "local"):
        return []
    return [str(Path(path if found else url).resolve())]
