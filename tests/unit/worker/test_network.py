"""Which interface and which address follow from the settings."""

import pytest

from shoal_worker.shell import network

MACHINE = {"lo": ["127.0.0.1"], "eth0": ["10.0.0.5"], "ib0": ["192.168.7.5"], "down": []}


@pytest.mark.parametrize(
    ("nic", "host", "place"),
    [
        ("", "", ("lo", "127.0.0.1")),
        ("", "localhost", ("lo", "localhost")),
        ("ib0", "", ("ib0", "192.168.7.5")),
        ("", "10.0.0.5", ("eth0", "10.0.0.5")),
        ("ib0", "10.0.0.5", ("ib0", "10.0.0.5")),
        ("", "203.0.113.9", ("", "203.0.113.9")),
    ],
)
def test_place(nic: str, host: str, place: tuple[str, str]) -> None:
    assert network.place(nic, host, MACHINE) == place


@pytest.mark.parametrize("nic", ["eth9", "down"])
def test_an_interface_without_an_address_is_refused(nic: str) -> None:
    with pytest.raises(network.NetworkError, match="this machine has lo, eth0, ib0"):
        network.place(nic, "", MACHINE)


def test_this_machine_has_a_loopback() -> None:
    assert "127.0.0.1" in network.addresses()[network.LOOPBACK]
