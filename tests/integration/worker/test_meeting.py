"""Ranks of the training API meet, agree, and say so when they cannot."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from ports import free_port

AGREE = """
import shoal
from shoal.training import ranks
run = shoal.init()
print(run.rank, ranks.agree(run.rank == 1, 5 - run.rank), ranks.gather(run.rank))
"""
ALONE = """
import datetime, shoal
from shoal.training import ranks
ranks.MEETING = datetime.timedelta(seconds=1)
shoal.init()
"""


def rank(folder: Path, code: str, rank: int, port: int, **more: str) -> "subprocess.Popen[str]":
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "RANK": str(rank), "WORLD_SIZE": "2",
        "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", **more,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", code], env=env, cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_two_ranks_agree(tmp_path: Path) -> None:
    port = free_port()
    found = [p.communicate(timeout=60) for p in [rank(tmp_path, AGREE, r, port) for r in (0, 1)]]
    assert [out.strip() for out, _ in found] == ["0 (True, 4) [0, 1]", "1 (True, 4) [0, 1]"], found


def test_a_rank_that_waits_in_vain_says_where(tmp_path: Path) -> None:
    port = free_port()
    process = rank(tmp_path, ALONE, 0, port)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    here = socket.gethostname()
    assert f"rank 0 of 2 on {here} waited at 127.0.0.1:{port} for 1 s, and rank 1 did not" in err


def test_a_rank_that_finds_nobody_says_where(tmp_path: Path) -> None:
    port = free_port()
    _, err = rank(tmp_path, ALONE, 1, port).communicate(timeout=60)
    assert f"could not reach rank 0 at 127.0.0.1:{port} within 1 s" in err


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        _, err = rank(tmp_path, ALONE, 0, port).communicate(timeout=60)
    assert f"could not listen for the others at 127.0.0.1:{port}" in err


def test_an_interface_that_is_not_there_is_named(tmp_path: Path) -> None:
    port = free_port()
    ranks = [rank(tmp_path, AGREE, r, port, GLOO_SOCKET_IFNAME="nic9") for r in (0, 1)]
    for process in ranks:
        _, err = process.communicate(timeout=60)
        assert "could not connect to them over the network interface nic9" in err
