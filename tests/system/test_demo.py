"""The whole platform as processes: the demo with every service killed once, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]


def demo(folder: Path, *options: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-m", "shoal_local", "demo", "--state-dir", str(folder / "state"),
        "--report", str(folder / "report"), *options,
    ]  # fmt: skip
    env = {**os.environ, "COLUMNS": "140"}
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def left_over(folder: Path) -> list[str]:
    """Processes whose command line or working folder is of this test."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(" ".join(words))
    return found


@pytest.mark.timeout(300)
def test_a_search_survives_a_preemption_and_the_death_of_each_service(tmp_path: Path) -> None:
    process = demo(tmp_path, "--chaos")
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output[-3000:]
    report = (tmp_path / "report" / "report.html").read_text()
    for name in ("searcher", "scheduler", "provisioner", "gateway"):
        assert f"kill -9 of the {name}" in report
    assert "the cloud takes" in report
    assert "was preempted" in report
    assert output.count(": completed.") == 2
    assert "for 16 configurations" in " ".join(output.split())
    assert left_over(tmp_path) == []


@pytest.mark.timeout(120)
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    process = demo(tmp_path, "--trials", "4")
    machines = tmp_path / "state" / "machines"
    end = time.monotonic() + 60
    while not list(machines.glob("*/machine.json")):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    worker = json.loads(next(machines.glob("*/machine.json")).read_text())["pid"]
    assert psutil.pid_exists(worker)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert left_over(tmp_path) == []
