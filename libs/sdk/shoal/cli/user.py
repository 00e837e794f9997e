"""`shoal user create`, `ls`, `role`, `disable`, `enable`, `password`, `rm`."""

from typing import Annotated, Literal

import typer

from shoal.cli.base import client, commands
from shoal.cli.login import password as ask_password
from shoal.cli.printing import in_json, table, tell

group = commands("Those who may log in. For administrators.")
User = Annotated[str, typer.Argument(metavar="USER")]
Role = Literal["none", "viewer", "editor", "admin"]


@group.command()
def create(
    user: User, role: Annotated[Role, typer.Option(help="In the whole cluster.")] = "none"
) -> None:
    """Let someone log in. The password is asked for, or read from the standard input."""
    found = client().create_user(user, ask_password(confirm=True), None if role == "none" else role)
    tell(found, f"{user} may log in.")


@group.command()
def ls() -> None:
    """List users."""
    found = client().users()
    if in_json(found):
        return
    rows = [[u["user"], u["role"], "yes" if u["enabled"] else "no", u["subject"]] for u in found]
    table(["USER", "ROLE", "ENABLED", "SUBJECT"], rows, "There is nobody.")


@group.command()
def role(user: User, role: Annotated[Role, typer.Argument()]) -> None:
    """Say what a user may do in the whole cluster."""
    found = client().set_role(user, None if role == "none" else role)
    tell(found, f"{user} is {role} in the cluster.")


@group.command()
def disable(user: User) -> None:
    """Lock a user out, with all tokens."""
    found = client().let_in(user, False)
    tell(found, f"{user} is locked out.")


@group.command()
def enable(user: User) -> None:
    """Let a user in again."""
    found = client().let_in(user, True)
    tell(found, f"{user} may log in.")


@group.command()
def password(user: Annotated[str | None, typer.Argument(metavar="[USER]")] = None) -> None:
    """Set a password: your own, or as an administrator another's."""
    line = client()
    mine = line.me()["user"]
    old = ask_password("Old password") if user in (None, mine) else None
    found = line.set_password(user or mine, ask_password("New password", confirm=True), old)
    tell(found, "The password is set. Log in anew.")


@group.command()
def rm(user: User) -> None:
    """Forget a user, with all tokens and memberships. Experiments stay."""
    found = client().remove_user(user)
    tell(found, f"{user} is gone.")
