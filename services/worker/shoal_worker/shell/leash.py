"""Holds one rank that was started from nothing, so that it ends when the worker does.

Run as `python -I -S leash.py FD LIMITS AFTER command…`, in a session of its own and with the rank's
environment; nothing of ours can be imported here. FD is the reading end of a pipe whose other end
the worker alone holds: what comes through it is a SIGTERM for the command; when it closes, the
whole session is killed. AFTER is a command, or nothing,
as JSON: it removes a container that the session's end does not end, and is run at any end. Ends as
the command ended.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys

LIMIT = 20
"""Seconds."""


def main() -> None:
    """Run the command."""
    pipe, limits, after = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    command = sys.argv[4:]
    child = os.fork()
    if child == 0:
        os.close(pipe)
        for name, limit in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (limit, limit))
        _become(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # meant for the worker, which tells the rank
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while ended not in (fd for fd, _ in poll.poll()):
        if os.read(pipe, 64):
            os.kill(child, signal.SIGTERM)
            continue
        os.kill(child, signal.SIGKILL)
        _run(after)
        os.killpg(0, signal.SIGKILL)
    _run(after)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _run(command: list[str]) -> None:
    """Run what is to be done after the end, within `LIMIT`."""
    if not command:
        return
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        _become(command)
    poll = select.poll()
    poll.register(os.pidfd_open(child), select.POLLIN)
    poll.poll(LIMIT * 1000)


def _become(command: list[str]) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    try:
        os.execvp(command[0], command)  # noqa: S606 - what the experiment asks for
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(127)


if __name__ == "__main__":
    main()
