"""TCP ports on which nothing listens.

They lie below those that Linux gives to outgoing connections (32768 and up, `ip_local_port_range`
in https://docs.kernel.org/networking/ip-sysctl.html): a port found there can be taken by any
connection before the server that it was found for listens on it.
"""

import contextlib
import random
import socket

FOR_SERVERS = range(10000, 15000)
"""A platform's on one machine."""
FOR_RANKS = range(20000, 32000)
"""Where the ranks of a gang meet."""


def free_ports(count: int, among: range, address: str = "127.0.0.1") -> list[int]:
    """`count` different ports of `among`, chosen by chance, on which nothing listens now at this
    address ("": at any of this machine); fewer if there are not so many."""
    found: list[int] = []
    for port in random.SystemRandom().sample(among, len(among)):
        if len(found) == count:
            break
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind((address, port))
            found.append(port)
    return found
