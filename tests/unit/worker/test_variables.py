"""What torchrun would give: compared with what torch itself says of it."""

import ast
import inspect
import textwrap

import pytest
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from unit.worker.test_decide import order

from shoal_contract.events import Slot
from shoal_worker.shell.variables import of_rank, threads

CPU: list[Slot] = []
GPUS = [Slot(number=n, kind="cuda", model="H100", uuid=f"GPU-{n}") for n in range(3)]


def rank(local: int, slots: int = 3, gpus: list[Slot] = CPU, **changes: object) -> dict[str, str]:
    wanted = order("r", slots, world_size=4).model_copy(update=changes)
    return of_rank(wanted, local, gpus[:slots], "eth0")


def test_all_that_torchrun_gives_is_there() -> None:
    source = textwrap.dedent(inspect.getsource(LocalElasticAgent._start_workers))
    given = {
        key.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and str(key.value).isupper()
    }
    assert {"RANK", "ROLE_NAME", "TORCHELASTIC_USE_AGENT_STORE"} <= given
    assert given <= set(rank(0))


def test_a_gang_of_three_and_one() -> None:
    """The second machine has one rank of four, and is one of two groups."""
    env = rank(0, 1, first_rank=3, node_rank=1, nodes=2)
    expected = {
        "RANK": "3", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": "1", "GROUP_WORLD_SIZE": "2",
        "ROLE_NAME": "default", "ROLE_RANK": "3", "ROLE_WORLD_SIZE": "4",
        "TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_MAX_RESTARTS": "5",
        "TORCHELASTIC_RUN_ID": "e-0-a1", "TORCHELASTIC_USE_AGENT_STORE": "False",
    }  # fmt: skip
    assert expected.items() <= env.items()


@pytest.mark.parametrize(
    ("slots", "gpus", "given", "expected"),
    [
        (1, CPU, {}, "1"),
        (3, CPU, {}, "1"),
        (3, CPU, {"OMP_NUM_THREADS": "4"}, "4"),
        (1, GPUS, {}, None),
        (3, GPUS, {}, "1"),
        (3, GPUS, {"OMP_NUM_THREADS": "8"}, "8"),
    ],
)
def test_threads(slots: int, gpus: list[Slot], given: dict[str, str], expected: str | None) -> None:
    task = order("r").task.model_copy(update={"environment": given})
    assert rank(0, slots, gpus, task=task).get("OMP_NUM_THREADS") == expected


def test_the_warm_process_computes_as_ranks_do() -> None:
    assert threads([Slot(number=0, kind="cpu", model="cpu")]) == {"OMP_NUM_THREADS": "1"}
    assert threads(GPUS) == {}


def test_gpus_are_those_of_the_slots() -> None:
    assert rank(0, 2, GPUS)["CUDA_VISIBLE_DEVICES"] == "GPU-0,GPU-1"
    assert rank(0, 2, CPU)["CUDA_VISIBLE_DEVICES"] == ""
