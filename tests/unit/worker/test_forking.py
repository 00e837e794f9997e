"""What may be forked from the warm process, and what has to be started from nothing."""

import pytest

from shoal_worker.core import forking

WARM = {"PATH": "/bin", "HOME": "/", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
SCRIPT = ["python", "train.py"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (SCRIPT, True),
        (["python3", "-m", "train", "-x"], True),
        (["python", "-O", "train.py"], False),
        (["python"], False),
        (["/usr/bin/python", "train.py"], False),
        (["sh", "-c", "python train.py"], False),
    ],
)
def test_commands(command: list[str], expected: bool) -> None:
    assert forking.possible(command, WARM, WARM) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"RANK": "1", "NCCL_SOCKET_IFNAME": "ib0", "CUDA_VISIBLE_DEVICES": "0"}, True),
        ({"HOME": "/me", "PATH": "/x", "TMPDIR": "/t", "TZ": "UTC"}, True),
        ({"PYTHONPATH": "lib", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "4"}, True),
        ({"TORCHELASTIC_RUN_ID": "a", "TORCH_NCCL_TRACE_BUFFER_SIZE": "1"}, True),
        ({"TORCH_HOME": "/cache"}, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"OMP_NUM_THREADS": "4,2"}, False),
        ({"OMP_NUM_THREADS": "0"}, False),
        ({"OMP_NUM_THREADS": None}, False),
        ({"OMP_PROC_BIND": "true"}, False),
        ({"PYTHONHASHSEED": "0"}, False),
        ({"PYTHONMALLOC": "debug"}, False),
        ({"LD_LIBRARY_PATH": "/opt"}, False),
        ({"LC_ALL": "C"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"MALLOC_ARENA_MAX": "2"}, False),
        ({"GLIBC_TUNABLES": "x"}, False),
        ({"KMP_AFFINITY": "x"}, False),
        ({"MKL_NUM_THREADS": "2"}, False),
        ({"OPENBLAS_NUM_THREADS": "2"}, False),
        ({"TORCH_LOGS": "+dynamo"}, False),
        ({"TORCHDYNAMO_DISABLE": "1"}, False),
        ({"TORCH_DISTRIBUTED_DEBUG": "DETAIL"}, False),
        ({"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}, False),
        ({"GRPC_VERBOSITY": "debug"}, False),
    ],
)
def test_variables(changes: dict[str, str | None], expected: bool) -> None:
    env = {name: value for name, value in {**WARM, **changes}.items() if value is not None}
    assert forking.possible(SCRIPT, env, WARM) is expected
