"""Ports on which nothing listens."""

import socket

from shoal.ports import free_ports


def test_no_two_are_one() -> None:
    found = free_ports(500, range(12000, 13000))
    assert len(set(found)) == len(found) == 500
    assert set(found) <= set(range(12000, 13000))


def test_one_that_listens_is_left_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_ports(2, range(port, port + 1)) == []
