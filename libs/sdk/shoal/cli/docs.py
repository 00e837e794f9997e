"""`shoal docs`: the documentation of the platform's API, in a browser."""

import webbrowser

import typer

from shoal.cli.base import client
from shoal.cli.printing import in_json, say


def add(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(docs)


def docs() -> None:
    """Open the documentation of the platform's API in a browser, which asks for a password: the
    token that is printed here, and which only reads, for a day."""
    line = client()
    found = line.create_token("docs", scope="read", days=1)
    url = f"{line.url}/docs"
    if in_json({"url": url, **found}):
        return
    say(f"{url} opens in your browser. Where it asks: any name, and as the password this token.")
    say(found["token"])
    webbrowser.open(url)
