"""Ports for the servers of tests: no two tests get one, in whichever process or checkout they
run at the same time on a machine."""

import contextlib
import fcntl
import functools
import itertools
import os
import random
import tempfile
from collections.abc import Iterator

from shoal.ports import free_ports

FIRST, BLOCK, BLOCKS = 15000, 250, 20


def free_port() -> int:
    """A port on which nothing listens, and that was given to nobody before the others."""
    return next(port for port in _order() if free_ports(1, range(port, port + 1)))


@functools.cache
def _order() -> Iterator[int]:
    """The ports of the first block that no other process holds. Raises RuntimeError."""
    for first in range(FIRST, FIRST + BLOCK * BLOCKS, BLOCK):
        with contextlib.suppress(OSError):
            lock = os.open(f"{tempfile.gettempdir()}/shoal-test-ports-{first}", os.O_CREAT, 0o666)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends
            return itertools.cycle(random.SystemRandom().sample(range(first, first + BLOCK), BLOCK))
    raise RuntimeError(f"{BLOCKS} test runs at once on this machine hold all ports for tests")
