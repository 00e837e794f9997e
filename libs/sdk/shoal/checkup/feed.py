"""The feed: does its NATS server answer, and does it let us in.

Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

import json
import socket
import ssl
from urllib.parse import urlsplit

from shoal.asking import ShoalError
from shoal.checkup.finding import Finding, fail, ok
from shoal.client import Client

PATIENCE = 5.0
"""Seconds for each answer."""


def feed(client: Client, token: str) -> Finding:
    """Whether programs that speak NATS can subscribe to events with this token."""
    try:
        url = str(client.feed()["url"])
    except ShoalError as error:
        if error.status == 404:
            return ok("Feed", "there is none; events come over HTTP")
        return fail("Feed", str(error).rstrip("."), "look at the gateway's log")
    try:
        said = _login(url, token)
    except (OSError, ValueError) as error:
        todo = "open its port here, or set SHOAL_FEED_PUBLIC_URL at the gateway"
        return fail("Feed", f"does not answer at {url} ({error})", todo)
    if said != "PONG":
        todo = "look at the gateway's log, and at the issuer that the feed's server has"
        return fail("Feed", f"lets nobody in at {url} ({said})", todo)
    return ok("Feed", f"answers at {url}, and knows the token")


def _login(url: str, token: str) -> str:
    """What a NATS server says to a token: `PONG`, or an error. Raises OSError or ValueError if
    there is none."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port or 4222), PATIENCE) as line:
        kind, _, about = _line(line).partition(" ")
        if kind != "INFO":
            raise ValueError("what answers is no NATS server")
        if not json.loads(about).get("tls_required"):
            return _shown(line, token)
        with ssl.create_default_context().wrap_socket(line, server_hostname=where.hostname) as safe:
            return _shown(safe, token)


def _shown(line: socket.socket, token: str) -> str:
    connect = {"auth_token": token, "verbose": False, "pedantic": False, "lang": "python"}
    line.sendall(f"CONNECT {json.dumps(connect)}\r\nPING\r\n".encode())
    while (said := _line(line)).startswith("INFO"):
        pass
    return said


def _line(line: socket.socket) -> str:
    found = b""
    while not found.endswith(b"\r\n"):
        if len(found) > 2**20 or not (byte := line.recv(1)):
            raise ValueError("it hung up")
        found += byte
    return found.decode(errors="replace").strip()
