"""`shoal login`, `logout`, `whoami`, `audit`."""

import base64
import getpass
import hashlib
import http.server
import secrets
import sys
import time
import webbrowser
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import typer

from shoal.cli.base import client
from shoal.cli.printing import in_json, say, table, tell
from shoal.client import Client, ShoalError
from shoal.credentials import remember

BROWSER_PATIENCE = 300.0
"""Seconds for which a login in the browser may take."""


def add(app: typer.Typer) -> None:
    """Add these commands to an application."""
    for command in (login, logout, whoami, audit):
        app.command()(command)


def login(
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="Your name there.")] = None,
    setup: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="Make the first administrator.")
    ] = None,
    oidc: Annotated[bool, typer.Option("--oidc", help="Log in with the browser.")] = False,
) -> None:
    """Log in; the token is kept for further commands.

    The password is asked for, or read from the standard input where that is no terminal.
    """
    line = client()
    if oidc:
        found = _with_browser(line)
    else:
        name = user or typer.prompt("User", default=getpass.getuser(), err=True)
        word = password(confirm=setup is not None)
        found = line.set_up(setup, name, word) if setup else line.login(name, word)
    remember(line.url, found["token"])
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(found["expires_at"]))
    about = {"user": found["user"], "url": line.url, "expires_at": found["expires_at"]}
    tell(about, f"{found['user']} is logged in at {line.url} until {until}.")


def logout() -> None:
    """End the login, and forget its token."""
    line = client()
    try:
        found = line.logout()
    finally:
        remember(line.url, None)
    tell(found, f"Logged out of {line.url}.")


def whoami() -> None:
    """Say who you are to the platform, and what you may do."""
    found = client().me()
    if in_json(found):
        return
    say(f"{found['user']}: {found['role'] or 'no role'} in the cluster.")
    for name, role in sorted(found["workspaces"].items()):
        say(f"{role} in the workspace {name}")


def audit(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    user: Annotated[str | None, typer.Option(help="Of this user alone.")] = None,
) -> None:
    """List what was changed, and tried: who, when, from where. For administrators."""
    found = client().audit(limit, user)
    if in_json(found):
        return
    rows = [
        [
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(r["at"])),
            r["user"],
            r["method"],
            r["path"],
            r["status"],
            r["address"],
        ]
        for r in found
    ]
    table(["TIME", "USER", "METHOD", "PATH", "STATUS", "FROM"], rows, "Nothing was changed yet.")


def password(text: str = "Password", *, confirm: bool = False) -> str:
    """A password from the terminal, unseen, or a line of the standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    found: str = typer.prompt(text, hide_input=True, confirmation_prompt=confirm, err=True)
    return found


def _with_browser(line: Client) -> Any:
    """Log in at the provider: the browser comes back to a port of this machine with a code, which
    is worth a token to us alone (RFC 8252 and RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    codes: list[str] = []

    class Landing(http.server.BaseHTTPRequestHandler):
        timeout = 5.0
        """Seconds for a connection that says nothing."""

        def do_GET(self) -> None:
            codes.extend(parse_qs(urlsplit(self.path).query).get("code", [])[:1])
            self.send_response(200 if codes else 404)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"You are logged in. Close this page." if codes else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Landing) as server:
        server.timeout = 1.0
        query = urlencode({"port": server.server_port, "challenge": challenge})
        url = f"{line.url}/v1/login/oidc?{query}"
        typer.echo(f"Log in with your browser: {url}", err=True)
        webbrowser.open(url)
        end = time.monotonic() + BROWSER_PATIENCE
        while not codes and time.monotonic() < end:
            server.handle_request()
    if not codes:
        raise ShoalError("The browser did not come back with a login.")
    return line.oidc_token(codes[0], verifier)
