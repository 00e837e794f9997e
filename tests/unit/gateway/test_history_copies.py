"""Copies of far files on this machine: how many, which, and for whom."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shoal_gateway.shell.history_copies import PREFIX, Copies

SIZE = 100


class Far:
    """Far storage that counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fetch(self, name: str) -> Callable[[str], None]:
        def to(path: str) -> None:
            self.asked.append(name)
            Path(path).write_bytes(name.encode().ljust(SIZE))

        return to


@pytest.fixture
def copies() -> Iterator[Copies]:
    made = Copies(3 * SIZE)
    yield made
    made.close()


def read(copies: Copies, far: Far, *names: str) -> None:
    """Ask for some files, and see that they are what they are to be."""
    with copies.held() as path:
        for name in names:
            assert Path(path(name, far.fetch(name))).read_bytes() == name.encode().ljust(SIZE)


def test_those_that_were_asked_for_longest_ago_leave_first(copies: Copies) -> None:
    far = Far()
    for name in ("a", "b", "c", "a", "d"):
        read(copies, far, name)
    assert copies.names() == ["c", "a", "d"]
    read(copies, far, "b")
    assert copies.names() == ["a", "d", "b"]
    assert far.asked == ["a", "b", "c", "d", "b"]


def test_what_is_held_stays_though_there_is_no_room(copies: Copies) -> None:
    far = Far()
    names = [f"f{n}" for n in range(6)]
    with copies.held() as path:
        paths = [Path(path(name, far.fetch(name))) for name in names]
        read(copies, far, "other")
        assert all(p.exists() for p in paths)
        assert "other" not in copies.names()
    assert [p.exists() for p in paths] == [False] * 3 + [True] * 3


def test_many_readers_fetch_each_file_once_and_find_it_whole() -> None:
    far, copies = Far(), Copies(1000 * SIZE)
    with ThreadPoolExecutor(16) as pool:
        names = [f"f{n % 20}" for n in range(400)]
        for done in [pool.submit(read, copies, far, name) for name in names]:
            done.result()
    assert sorted(far.asked) == sorted({*names})
    copies.close()


def test_readers_find_what_they_hold_while_others_crowd_it_out(copies: Copies) -> None:
    far, chance = Far(), random.Random(0)
    wanted = [chance.sample([f"f{n}" for n in range(12)], 5) for _ in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(read, copies, far, *names) for names in wanted]:
            done.result()
    assert len(copies.names()) == 3
    assert len(far.asked) > 12


def test_a_file_that_cannot_be_fetched_leaves_nothing_and_is_tried_again(copies: Copies) -> None:
    far, inside, go_on = Far(), threading.Event(), threading.Event()

    def broken(path: str) -> None:
        Path(path).write_bytes(b"half")
        inside.set()
        assert go_on.wait(10)
        raise FileNotFoundError("it was merged")

    def fail() -> None:
        with pytest.raises(FileNotFoundError), copies.held() as path:
            path("a", broken)

    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(fail)
        assert inside.wait(10)
        waiting = pool.submit(read, copies, far, "a")
        go_on.set()
        failing.result()
        waiting.result()
    folder = Path(copies.part()).parent
    assert sorted(p.name for p in folder.iterdir()) == ["a", "lock"]


def test_some_can_be_forgotten(copies: Copies) -> None:
    far = Far()
    read(copies, far, "e 1", "e 2", "f 1")
    folder = Path(copies.part()).parent
    copies.forget(lambda name: name.startswith("e "))
    assert copies.names() == ["f 1"]
    assert sorted(p.name for p in folder.iterdir()) == ["f 1", "lock"]
    copies.close()
    assert not folder.exists()


def test_a_killed_process_leaves_its_copies_to_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import sys\nfrom shoal_gateway.shell.history_copies import Copies\n"
        "print(Copies(1).part(), flush=True)\nsys.stdin.read()\n"
    )
    made = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert made.stdout is not None
    folder = Path(made.stdout.readline().decode()).parent
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = Copies(1)
    first.part()
    assert folder.exists()  # it is alive
    made.send_signal(signal.SIGKILL)
    made.communicate()
    second = Copies(1)
    second.part()
    assert not folder.exists()
    assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 2
    first.close()
    second.close()
