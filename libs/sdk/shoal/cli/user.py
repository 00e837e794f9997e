"""`shoal user create`, `ls`, `role`, `disable`, `enable`, `password`, `rm`."""

from typing import Annotated, Literal

import typer

from shoal.cli.base import Json, client, say, say_json, table
from shoal.cli.login import password as ask_password

group = typer.Typer(help="Those who may log in. For administrators.", no_args_is_help=True)
User = Annotated[str, typer.Argument(metavar="USER")]
Role = Literal["none", "viewer", "editor", "admin"]


@group.command()
def create(
    user: User, role: Annotated[Role, typer.Option(help="In the whole cluster.")] = "none"
) -> None:
    """Let someone log in. The password is asked for, or read from the standard input."""
    client().create_user(user, ask_password(confirm=True), None if role == "none" else role)
    say(f"{user} may log in.")


@group.command()
def ls(json: Json = False) -> None:
    """List users."""
    found = client().users()
    if json:
        say_json(found)
        return
    rows = [[u["user"], u["role"], "yes" if u["enabled"] else "no", u["subject"]] for u in found]
    table(["USER", "ROLE", "ENABLED", "SUBJECT"], rows, "There is nobody.")


@group.command()
def role(user: User, role: Annotated[Role, typer.Argument()]) -> None:
    """Say what a user may do in the whole cluster."""
    client().set_role(user, None if role == "none" else role)
    say(f"{user} is {role} in the cluster.")


@group.command()
def disable(user: User) -> None:
    """Lock a user out, with all tokens."""
    client().let_in(user, False)
    say(f"{user} is locked out.")


@group.command()
def enable(user: User) -> None:
    """Let a user in again."""
    client().let_in(user, True)
    say(f"{user} may log in.")


@group.command()
def password(user: Annotated[str | None, typer.Argument(metavar="[USER]")] = None) -> None:
    """Set a password: your own, or as an administrator another's."""
    line = client()
    mine = line.me()["user"]
    old = ask_password("Old password") if user in (None, mine) else None
    line.set_password(user or mine, ask_password("New password", confirm=True), old)
    say("The password is set. Log in anew.")


@group.command()
def rm(user: User) -> None:
    """Forget a user, with all tokens and memberships. Experiments stay."""
    client().remove_user(user)
    say(f"{user} is gone.")
