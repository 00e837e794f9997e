"""Holds one rank that was started from nothing, so that it ends when the worker does.

Run as `python -I -S leash.py FD LIMITS command…`, in a session of its own and with the rank's
environment; nothing of ours can be imported here. FD is the reading end of a pipe whose other end
the worker alone holds: when it closes, the whole session is killed. Ends as the command ended.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys


def main() -> None:
    """Run the command."""
    pipe, limits, command = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
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
    if ended not in (fd for fd, _ in poll.poll()):
        os.killpg(0, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _become(command: list[str]) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    try:
        os.execvp(command[0], command)  # noqa: S606 - what the experiment asks for
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(127)


if __name__ == "__main__":
    main()
