"""The command lines of container engines."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from shoal_contract.events import Slot
from shoal_contract.parse import ConfigError, parse_experiment
from shoal_worker.shell import containers
from shoal_worker.shell.containers import Box, Engine, EngineError

DOCKER, PODMAN = Engine("docker", "/bin/docker"), Engine("podman", "/bin/podman")
GPUS = [Slot(number=n, kind="cuda", model="V100", uuid=f"GPU-{n}") for n in (1, 3)]
OWN = {"PATH": "/bin", "HOME": "/root", "LANG": "C"}


def box(**changes: Any) -> Box:
    fields: dict[str, Any] = {
        "name": "shoal-r-0", "image": "lab/torch:1", "arguments": ["python", "train.py", "--x"],
        "folder": "/s/runs/r/work", "env": {"RANK": "0", "SECRET": "hush"},
        "writable": ["/s/runs/r", "/tmp/line", "/s/runs/r"], "readable": [], "devices": [],
        "user": (1000, 1001), "memory": 0, "files": 1024, **changes,
    }  # fmt: skip
    return Box(**fields)


def after(command: list[str], flag: str) -> list[str]:
    """Every value that follows a flag."""
    return [value for name, value in itertools.pairwise(command) if name == flag]


def test_the_whole_command() -> None:
    assert containers.run(DOCKER, box(), OWN) == [
        "/bin/docker", "run", "--rm", "--init", "--name", "shoal-r-0",
        "--network", "host", "--ipc", "host", "--user", "1000:1001",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--security-opt", "label=disable",
        "--ulimit", "core=0:0", "--ulimit", "nofile=1024:1024",
        "--workdir", "/s/runs/r/work",
        "--volume", "/s/runs/r:/s/runs/r", "--volume", "/tmp/line:/tmp/line",
        "--env", "HOME=/s/runs/r/work", "--env", "RANK", "--env", "SECRET",
        "--entrypoint", "python", "lab/torch:1", "train.py", "--x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "changes", "flag", "values"),
    [
        (DOCKER, {"memory": 8_000}, "--memory", ["8000"]),
        (DOCKER, {}, "--memory", []),
        (DOCKER, {"readable": ["/data"], "writable": []}, "--volume", ["/data:/data:ro"]),
        (DOCKER, {"devices": GPUS}, "--gpus", ['"device=GPU-1,GPU-3"']),
        (DOCKER, {}, "--gpus", []),
        (PODMAN, {"devices": GPUS}, "--device", ["nvidia.com/gpu=1", "nvidia.com/gpu=3"]),
        (PODMAN, {"devices": GPUS}, "--gpus", []),
        (PODMAN, {}, "--userns", ["keep-id"]),
        (PODMAN, {"user": (0, 0)}, "--userns", []),
        (DOCKER, {}, "--userns", []),
        (DOCKER, {"env": {"HOME": "/h", "PATH": "/x", "A": "b"}}, "--env",
         ["HOME=/h", "PATH=/x", "A"]),
    ],
)  # fmt: skip
def test_what_a_container_gets(
    engine: Engine, changes: dict[str, Any], flag: str, values: list[str]
) -> None:
    assert after(containers.run(engine, box(**changes), OWN), flag) == values


def test_values_come_by_the_engines_own_environment() -> None:
    mine = box(env={"A": "b", "PATH": "/x", "DOCKER_HOST": "tcp://elsewhere"})
    assert containers.outer(mine, OWN) == {**OWN, "A": "b"}
    found = after(containers.run(DOCKER, mine, OWN), "--env")
    assert found[1:] == ["A", "PATH=/x", "DOCKER_HOST=tcp://elsewhere"]


def test_ends() -> None:
    assert DOCKER.stop("n", 7) == ["/bin/docker", "stop", "-t", "7", "n"]
    assert PODMAN.remove("n") == ["/bin/podman", "rm", "--force", "n"]


@pytest.mark.parametrize(
    ("code", "same"), [(0, 0), (1, 1), (125, 125), (128, 128), (137, -9), (143, -15), (250, 250)]
)
def test_exit_codes_are_those_of_processes(code: int, same: int) -> None:
    assert containers.signal_of(code) == same


@pytest.mark.parametrize(
    ("there", "wanted", "preferred", "found"),
    [
        (["docker", "podman"], None, "", "docker"),
        (["podman"], None, "", "podman"),
        (["docker", "podman"], None, "podman", "podman"),
        (["docker", "podman"], "docker", "podman", "docker"),
    ],
)
def test_which_engine_runs_it(
    tmp_path: Path, there: list[str], wanted: Any, preferred: str, found: str
) -> None:
    for name in there:
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    engine = containers.find(wanted, preferred, str(tmp_path))
    assert (engine.kind, engine.command) == (found, str(tmp_path / found))


@pytest.mark.parametrize(
    ("wanted", "preferred", "words"),
    [("podman", "", "has no podman"), (None, "", "neither docker nor"), (None, "lxc", "'lxc'")],
)
def test_a_machine_without_an_engine(
    tmp_path: Path, wanted: Any, preferred: str, words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        containers.find(wanted, preferred, str(tmp_path))


@pytest.mark.parametrize(
    ("url", "folders"),
    [("file:///s/x", ["/s/x"]), ("/s/x", ["/s/x"]), ("gs://b/x", []), ("s3://b/x", [])],
)
def test_storage_on_this_machine_is_seen(url: str, folders: list[str]) -> None:
    assert containers.local(url) == folders


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"runtime": "docker"}, "needs an image"),
        ({"image": "--privileged"}, "environment.image"),
        ({"image": "x", "runtime": "lxc"}, "environment.runtime"),
    ],
)
def test_a_config_that_is_none(environment: dict[str, str], words: str) -> None:
    searcher = {"name": "single", "metric": "acc", "max_time": 1}
    config = {"name": "x", "entrypoint": "x", "searcher": searcher, "environment": environment}
    with pytest.raises(ConfigError, match=words):
        parse_experiment(config)


HELP = "Run 'docker run --help' for more information"


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (1, ["ValueError: x"], ("", False)),
        (127, ["docker: Error response from daemon: exec: no-such: not found"], ("", False)),
        (125, ["docker: Cannot connect to the Docker daemon at x.", HELP],
         ("docker: Cannot connect to the Docker daemon at x.", True)),
        (125, ["Unable to find image 'a:1' locally",
               "docker: Error response from daemon: toomanyrequests: rate limit.", HELP],
         ("docker: Error response from daemon: toomanyrequests: rate limit.", True)),
        (125, ["Trying to pull a...", "Error: initializing source docker://a: reading manifest 1 in"
               " docker.io/library/a: manifest unknown: manifest unknown"],
         ("Error: initializing source docker://a: reading manifest 1 in docker.io/library/a:"
          " manifest unknown: manifest unknown", False)),
        (125, ["Unable to find image 'a/b:1' locally", "docker: Error response from daemon: pull"
               " access denied for a/b, repository does not exist"],
         ("docker: Error response from daemon: pull access denied for a/b, repository does not"
          " exist", False)),
        (125, ["docker: invalid reference format: repository name must be lowercase", HELP],
         ("docker: invalid reference format: repository name must be lowercase", False)),
        (125, ["unknown"], ("unknown", True)),
        (125, [], ("the container engine failed", True)),
    ],
)  # fmt: skip
def test_what_an_engine_says_and_whose_fault_it_is(
    code: int, said: list[str], expected: tuple[str, bool]
) -> None:
    assert containers.failure(code, said) == expected
