"""The network interface at which ranks of several machines meet, and this machine's address."""

import socket
from collections.abc import Mapping, Sequence

import psutil

LOOPBACK = "lo"


class NetworkError(RuntimeError):
    """The settings name an interface that is not there; the text says which there are."""


def addresses() -> dict[str, list[str]]:
    """The IPv4 addresses of each network interface of this machine."""
    return {
        name: [a.address for a in found if a.family == socket.AF_INET]
        for name, found in psutil.net_if_addrs().items()
    }


def place(nic: str, host: str, found: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """The interface to use and the address to tell others, from the settings `nic` and `host` and
    the `addresses` of this machine.

    With an interface alone, its first IPv4 address; with an address of this machine alone, its
    interface (of no address here, such as one behind a router: none, and the libraries choose).
    Raises NetworkError.
    """
    if nic:
        if not found.get(nic):
            known = ", ".join(name for name, its in found.items() if its)
            raise NetworkError(
                f"SHOAL_NIC is {nic!r}; this machine has {known} with an IPv4 address"
            )
        return nic, host or found[nic][0]
    host = host or "127.0.0.1"
    wanted = "127.0.0.1" if host == "localhost" else host
    return next((name for name, its in found.items() if wanted in its), ""), host
