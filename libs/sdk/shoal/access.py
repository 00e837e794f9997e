"""The questions about who may do what: logins, tokens, users, workspaces, secrets."""

from shoal.answers.access import (
    AuditRecord,
    NewToken,
    SecretName,
    TokenRow,
    UserRow,
    WorkspaceMembers,
    WorkspaceRow,
)
from shoal.answers.base import Nothing
from shoal.asking import Steps, created, pages, part, question, row


class Access:
    """The questions, for both clients. Each raises ShoalError as those of `Api` do."""

    @question
    def login(self, user: str, password: str) -> Steps[NewToken]:
        """Log in; the answer's `token` is what `Client(token=…)` takes."""
        return row("POST", "/v1/login", json={"user": user, "password": password})

    @question
    def set_up(self, token: str, user: str, password: str) -> Steps[NewToken]:
        """Make the first administrator, with the token that the gateway printed, and log in."""
        body = {"token": token, "user": user, "password": password}
        return row("POST", "/v1/login/setup", json=body, tries=1)

    @question
    def oidc_token(self, code: str, verifier: str) -> Steps[NewToken]:
        """What a login at the OpenID Connect provider gave: a token."""
        return row(
            "POST", "/v1/login/oidc/token", json={"code": code, "verifier": verifier}, tries=1
        )

    @question
    def logout(self) -> Steps[Nothing]:
        """End the token that this client shows."""
        return row("POST", "/v1/logout")

    @question
    def tokens(self) -> Steps[list[TokenRow]]:
        """One's own tokens; an administrator's answer has everybody's."""
        return pages("/v1/tokens")

    @question
    def token(self, token_id: str) -> Steps[TokenRow]:
        """One token, without what it is shown as."""
        return row("GET", f"/v1/tokens/{part(token_id)}")

    @question
    def create_token(
        self,
        name: str,
        *,
        scope: str = "write",
        workspace: str | None = None,
        days: float = 90,
        key: str | None = None,
    ) -> Steps[NewToken]:
        """A new token, in `token`; it is not shown again, but to the same request with the same
        `key`. `scope`: `read`, `write` or `admin`."""
        body = {"name": name, "scope": scope, "workspace": workspace, "days": days}
        return created("/v1/tokens", body, key)

    @question
    def revoke_token(self, token_id: str) -> Steps[Nothing]:
        """End a token."""
        return row("DELETE", f"/v1/tokens/{part(token_id)}")

    @question
    def users(self) -> Steps[list[UserRow]]:
        """All users."""
        return pages("/v1/users")

    @question
    def create_user(
        self, user: str, password: str, role: str | None = None, *, key: str | None = None
    ) -> Steps[UserRow]:
        """Let someone log in; `role` is in the whole cluster."""
        body = {"user": user, "password": password, "role": role}
        return created("/v1/users", body, key)

    @question
    def set_role(self, user: str, role: str | None) -> Steps[UserRow]:
        """Say what a user may do in the whole cluster; None: nothing."""
        return row("PATCH", f"/v1/users/{part(user)}", json={"role": role})

    @question
    def let_in(self, user: str, enabled: bool) -> Steps[UserRow]:
        """Let a user in, or no longer."""
        return row("PATCH", f"/v1/users/{part(user)}", json={"enabled": enabled})

    @question
    def set_password(self, user: str, password: str, old: str | None = None) -> Steps[Nothing]:
        """Set a password; one's own needs the `old` one."""
        body = {"password": password, "old": old}
        return row("PUT", f"/v1/users/{part(user)}/password", json=body)

    @question
    def remove_user(self, user: str) -> Steps[Nothing]:
        """Forget a user."""
        return row("DELETE", f"/v1/users/{part(user)}")

    @question
    def workspaces(self) -> Steps[list[WorkspaceRow]]:
        """The workspaces that one may see."""
        return pages("/v1/workspaces")

    @question
    def workspace(self, name: str) -> Steps[WorkspaceMembers]:
        """One workspace, with its members."""
        return row("GET", _workspace(name))

    @question
    def create_workspace(
        self, name: str, description: str = "", *, key: str | None = None
    ) -> Steps[WorkspaceRow]:
        """Make a workspace."""
        body = {"workspace": name, "description": description}
        return created("/v1/workspaces", body, key)

    @question
    def change_workspace(self, name: str, description: str) -> Steps[WorkspaceRow]:
        """Describe a workspace differently."""
        return row("PATCH", _workspace(name), json={"description": description})

    @question
    def remove_workspace(self, name: str) -> Steps[Nothing]:
        """Remove a workspace that holds no experiments, with all that it keeps."""
        return row("DELETE", _workspace(name))

    @question
    def set_member(self, workspace: str, user: str, role: str | None) -> Steps[Nothing]:
        """Give a user a role in a workspace; None: none any more."""
        path = f"{_workspace(workspace)}/members/{part(user)}"
        if role is None:
            return row("DELETE", path)
        return row("PUT", path, json={"role": role})

    @question
    def secrets(self, workspace: str) -> Steps[list[SecretName]]:
        """The names of a workspace's secrets."""
        return pages(f"{_workspace(workspace)}/secrets")

    @question
    def set_secret(self, workspace: str, name: str, value: str) -> Steps[Nothing]:
        """Keep a secret, which trials find in their environment if their config asks for it."""
        path = f"{_workspace(workspace)}/secrets/{part(name)}"
        return row("PUT", path, json={"value": value})

    @question
    def remove_secret(self, workspace: str, name: str) -> Steps[Nothing]:
        """Forget a secret."""
        return row("DELETE", f"{_workspace(workspace)}/secrets/{part(name)}")

    @question
    def audit(self, limit: int = 100, user: str | None = None) -> Steps[list[AuditRecord]]:
        """The newest records of the audit log, newest first."""
        return pages("/v1/audit", limit, user=user)


def _workspace(name: str) -> str:
    return f"/v1/workspaces/{part(name)}"
