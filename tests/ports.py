"""Ports for the servers of tests: no two tests get one, in whichever process they run."""

import itertools
import os
import random

from shoal.ports import free_ports

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
FIRST = 15000 + 500 * (WORKER % 10)
ORDER = itertools.cycle(random.SystemRandom().sample(range(FIRST, FIRST + 500), 500))


def free_port() -> int:
    """A port on which nothing listens, and that was given to nobody before the others."""
    return next(port for port in ORDER if free_ports(1, range(port, port + 1)))
