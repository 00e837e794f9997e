"""Where the gateway may connect to on somebody's word: public addresses, and networks that an
operator allows. A name is resolved once, all its addresses are looked at, and the connection goes
to the one that was looked at: another answer of the name's server a moment later changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit, urlunsplit

Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[list[str]]]
TUNNELS = tuple(ipaddress.ip_network(n) for n in ("64:ff9b::/32", "2002::/16", "2001::/32"))
"""IPv6 addresses that stand for IPv4 ones: NAT64, 6to4, Teredo."""


class AddressError(ValueError):
    """A URL that the gateway does not connect to. The text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect, and whom to ask for there."""

    url: str
    """With the address instead of the name."""
    name: str
    """The name alone, for TLS."""
    host: str
    """The name, and the port if it is no usual one: the header `Host`."""


async def resolve(name: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError if it has none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


async def checked(url: str, allowed: Sequence[Network], resolve: Resolve = resolve) -> Place:
    """Where a URL leads. Raises AddressError, and OSError if its name is not known."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError) as error:
        raise AddressError(f"{url!r} is no http or https address") from error
    name = parts.hostname
    if not name or parts.username is not None or any(c.isspace() or ord(c) < 32 for c in url):
        raise AddressError(f"{url!r} is no address of a receiver")
    addresses = [ipaddress.ip_address(a.partition("%")[0]) for a in await resolve(name, port)]
    bad = [a for a in addresses if not _may(a, allowed)]
    if bad or not addresses:
        raise AddressError(f"{name} leads to {bad[0] if bad else 'nowhere'}, which is not public")
    first = f"[{addresses[0]}]" if addresses[0].version == 6 else str(addresses[0])
    direct = urlunsplit((parts.scheme, f"{first}:{port}", parts.path or "/", parts.query, ""))
    return Place(direct, name, parts.netloc)


def _may(address: IPv4Address | IPv6Address, allowed: Sequence[Network]) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in allowed):
        return True
    if any(address in network for network in TUNNELS):
        return False
    return address.is_global and not address.is_multicast
