"""Ports for the servers of one machine."""

from shoal_local.servers import free_ports


def test_no_two_servers_get_one_port() -> None:
    found = free_ports(500)  # one by one, some port would come twice nearly always
    assert len(set(found)) == len(found) == 500
