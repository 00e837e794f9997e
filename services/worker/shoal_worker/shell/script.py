"""A rank's script in a process that was forked from one that had imported much before: it finds the
world that it would find in a process of its own."""

import io
import multiprocessing.process
import os
import runpy
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from shoal.training import errors

_PYTHONS = (__file__, runpy.__file__, "<frozen runpy>")
"""Files whose frames come before the script's own."""


def settle(env: Mapping[str, str], folder: str, stdout: str, stderr: str) -> None:
    """Give this process a rank's folder, streams and environment, and apply what the environment
    says of things that are done already. What cannot be applied is not forked: see
    `core.forking`."""
    os.chdir(folder)
    multiprocessing.process.ORIGINAL_DIR = folder  # type: ignore[attr-defined]
    _redirect(stdout, stderr, bool(env.get("PYTHONUNBUFFERED")))
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    if path := env.get("PYTHONPATH"):
        sys.path[:0] = [os.path.abspath(part) for part in path.split(os.pathsep)]
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else every rank of this machine draws the same
    if env.get("OMP_NUM_THREADS") != threads:
        _limit_threads(int(env["OMP_NUM_THREADS"]))


def _redirect(stdout: str, stderr: str, unbuffered: bool) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for path, fd in ((stdout, 1), (stderr, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, fd)
        os.close(opened)
    sys.stdout = _stream(1, sys.stdout, unbuffered, lines=False)
    sys.stderr = _stream(2, sys.stderr, unbuffered, lines=True)


def _stream(fd: int, like: Any, unbuffered: bool, lines: bool) -> io.TextIOWrapper:
    """As Python opens it at its start."""
    raw: Any = open(fd, "wb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        raw, like.encoding, like.errors, line_buffering=lines, write_through=unbuffered
    )


def _limit_threads(count: int) -> None:
    """Let the libraries that are loaded compute in so many threads."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def run(arguments: list[str], folder: str) -> int:
    """Run `script.py args…` or `-m module args…` as Python would; returns the exit code."""
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path.insert(0, folder)
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:
        _report(error.with_traceback(_own_frames(error.__traceback__)))
        return 1
    return 0


def _own_frames(frames: TracebackType | None) -> TracebackType | None:
    """From the script's first."""
    while frames is not None and frames.tb_frame.f_code.co_filename in _PYTHONS:
        frames = frames.tb_next
    return frames


def _report(error: BaseException) -> None:
    errors.tell(error)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except Exception:
        traceback.print_exception(error)
