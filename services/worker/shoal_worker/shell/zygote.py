"""The warm launcher's process: it has imported what trials need, and forks ranks on demand.

Run as `python -m shoal_worker.shell.zygote FD`. It reads one JSON object a line from the socket
FD (see `launcher.Spawn`), forks, and writes `{"pid"}` and later `{"exit"}` lines back. It has one
thread, never touches CUDA (a context does not survive a fork), and ends, with all its children,
when the socket closes.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shoal_worker.shell import script
from shoal_worker.shell.isolation import confine

PRELOAD = (
    "numpy", "torch", "torch.distributed", "torch.nn", "torch.nn.parallel", "torch.optim",
    "torch.utils.data", "torch.utils.data.distributed", "torch._dynamo", "sklearn.datasets",
    "torch.distributed.tensor", "fsspec", "fsspec.implementations.local", "grpc",
    "shoal.training.run", "shoal.training.saver",
)  # fmt: skip


DRIVER = "/dev/nvidiactl"
"""Is there where NVIDIA's driver is."""


def main() -> None:
    """Serve until the socket closes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # meant for the worker, which closes the socket
    _end_with_parent(signal.SIGKILL)  # while it imports, it does not see the socket close
    sock = socket.socket(fileno=int(sys.argv[1]))
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # see `shoal.training.line`
    for name in (*PRELOAD, *filter(None, sys.argv[2].split(","))):
        with contextlib.suppress(Exception, SystemExit):  # a script that needs it will tell
            importlib.import_module(name)
    if os.path.exists(DRIVER):
        _open_cudnn()
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False  # torch's 174 take a rank's end 90 ms, and free what dies anyway
    gc.collect()
    gc.freeze()  # a rank's collector leaves these pages alone, so they stay shared
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, tuple[str, int]] = {}
    _end_with_parent(0)
    try:
        _serve(sock, wake_read, wake_write, children)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the worker is gone
    finally:
        _kill_all(children)


def _open_cudnn() -> None:
    """Open the libraries that cuDNN would open at the first convolution of each rank. That alone
    does nothing on a GPU."""
    with contextlib.suppress(ImportError):
        found = importlib.util.find_spec("nvidia.cudnn")
        for folder in (found.submodule_search_locations or ()) if found else ():
            for file in sorted(Path(folder, "lib").glob("libcudnn_*.so.*")):
                with contextlib.suppress(OSError):
                    ctypes.CDLL(str(file))


def _serve(
    sock: socket.socket, wake_read: int, wake_write: int, children: dict[int, tuple[str, int]]
) -> None:
    selector = selectors.EpollSelector()
    selector.register(sock, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    inherited = (sock.fileno(), wake_read, wake_write, selector.fileno())
    _send(sock, {"ready": os.getpid()})
    buffer = b""
    while True:
        for key, _ in selector.select():
            if key.fd == wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
                _reap(sock, children)
                continue
            data = sock.recv(65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                _obey(sock, json.loads(line), children, inherited)


def _obey(
    sock: socket.socket,
    order: dict[str, Any],
    children: dict[int, tuple[str, int]],
    inherited: Sequence[int],
) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # a rank's waits until it hears it
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    if pid == 0:
        for held in inherited:
            os.close(held)
        _become_rank(order)
    children[pid] = (order["run_id"], order["rank"])
    _send(sock, {"pid": pid, "run_id": order["run_id"], "rank": order["rank"]})


def _reap(sock: socket.socket, children: dict[int, tuple[str, int]]) -> None:
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        run_id, rank = children.pop(pid, ("", 0))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what the rank left behind in its session
        code = os.waitstatus_to_exitcode(status)
        _send(sock, {"exit": code, "run_id": run_id, "rank": rank})


def _kill_all(children: dict[int, tuple[str, int]]) -> None:
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for pid in children:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _send(sock: socket.socket, message: dict[str, Any]) -> None:
    sock.sendall(json.dumps(message).encode() + b"\n")


def _become_rank(order: dict[str, Any]) -> None:
    code = 1
    try:
        os.setsid()
        confine(order["limits"])
        _end_with_parent(signal.SIGKILL)
        script.settle(order["env"], order["folder"], order["stdout"], order["stderr"])
        code = script.run(order["arguments"], order["folder"])
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            _join_threads()
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        os._exit(code)


def _end_with_parent(number: int) -> None:
    """Let the kernel send this process a signal (0: none) when its parent dies."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG


def _join_threads() -> None:
    """Wait for the script's threads, as Python does at its end."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


if __name__ == "__main__":
    main()
