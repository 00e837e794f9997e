"""Where the gateway connects to on somebody's word."""

import ipaddress

import pytest

from shoal_gateway.shell.addresses import AddressError, Resolve, checked


def names(*answers: list[str]) -> Resolve:
    """A name server that answers differently each time."""
    left = list(answers)

    async def resolve(name: str, port: int) -> list[str]:
        return left.pop(0)

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
        "2002:7f00:1::1", "ff02::1",
    ],
)  # fmt: skip
async def test_what_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressError, match="not public"):
        await checked("https://hook.example/x", (), names([address]))
    with pytest.raises(AddressError, match="not public"):
        await checked("https://hook.example/x", (), names(["93.184.215.14", address]))


async def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    resolve = names(["93.184.215.14"], ["127.0.0.1"])
    place = await checked("https://hook.example/a?b=c#d", (), resolve)
    assert place.url == "https://93.184.215.14:443/a?b=c"
    assert (place.name, place.host) == ("hook.example", "hook.example")
    with pytest.raises(AddressError):  # the name leads elsewhere now
        await checked("https://hook.example/a", (), resolve)
    place = await checked("http://hook.example:81", (), names(["2606:2800:21f:cb07::1"]))
    assert (place.url, place.host) == ("http://[2606:2800:21f:cb07::1]:81/", "hook.example:81")


async def test_networks_that_are_allowed() -> None:
    lab = [ipaddress.ip_network("10.0.0.0/8")]
    assert (await checked("http://lab/", lab, names(["10.1.2.3"]))).url == "http://10.1.2.3:80/"
    with pytest.raises(AddressError):
        await checked("http://lab/", lab, names(["11.0.0.1", "127.0.0.1"]))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/", "file:///etc/passwd", "gopher://x", "x", "http://", "http://a:99999/",
        "http://user:word@x/", "http://x/\r\nHost: y", "http://x\t/", "https://[::1",
    ],
)  # fmt: skip
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(AddressError):
        await checked(url, (), names(["93.184.215.14"]))
