"""What a caller may do, decided in one place for all routes, by the method and the ids in the
path. A route that is named nowhere here is for administrators of the cluster, or only to be read.
"""

import re
from enum import Enum, auto

from starlette.requests import HTTPConnection

from shoal_contract.ids import experiment_of_trial
from shoal_contract.roles import Role
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.auth import OPEN, READS, caller
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.problems import ProblemError, unknown


class Rule(Enum):
    """Who may use a route that is about no experiment and no workspace."""

    ANYONE = auto()
    """With a token, a trial's too; the route itself shows what is the caller's to see."""
    USER = auto()
    """Whoever is no trial's program."""
    EDITOR = auto()
    """An editor of some workspace; the route asks for which."""
    ADMIN = auto()
    """An administrator of the cluster."""


RULES = {
    ("GET", "/v1/me"): Rule.ANYONE,
    ("GET", "/v1/events"): Rule.ANYONE,
    ("GET", "/v1/events/ws"): Rule.ANYONE,
    ("GET", "/v1/experiments"): Rule.ANYONE,
    ("GET", "/v1/metrics"): Rule.ANYONE,
    ("POST", "/v1/bundles"): Rule.EDITOR,
    ("POST", "/v1/experiments"): Rule.EDITOR,
    ("POST", "/v1/logout"): Rule.USER,
    ("POST", "/v1/tokens"): Rule.USER,
    ("DELETE", "/v1/tokens/{token_id}"): Rule.USER,
    ("PUT", "/v1/users/{user}/password"): Rule.USER,
    ("GET", "/v1/users"): Rule.ADMIN,
    ("GET", "/v1/users/{user}"): Rule.ADMIN,
    ("GET", "/v1/audit"): Rule.ADMIN,
}

MLFLOW = "/mlflow/"
"""Below this, each route asks for itself: experiments there are not those of `/v1`."""


EDITED = re.compile(r"/v1/workspaces/\{workspace\}/(templates|models|projects)(/|$)")
"""What editors of a workspace may change in it; the rest is for its administrators."""
_CALLED = {Role.EDITOR: "an editor", Role.ADMIN: "an administrator"}


def rule_of(method: str, path: str) -> Rule:
    """The rule of a route, by its template, e.g. `/v1/users/{user}`."""
    if path.startswith(MLFLOW):
        return Rule.ANYONE
    return RULES.get((method, path), Rule.USER if method in READS else Rule.ADMIN)


async def authorise(connection: HTTPConnection) -> None:
    """Raise ProblemError unless the caller may do this: 404 for what it may not even know of."""
    method = connection.scope.get("method", "GET")
    if (method, connection.scope["path"]) in OPEN:
        return
    who, params = caller(connection), connection.path_params
    use: Parts = connection.app.state.parts
    experiment_id = params.get("experiment_id")
    if experiment_id is None and "trial_id" in params:
        experiment_id = experiment_of_trial(params["trial_id"])
    if experiment_id is not None:
        if not await use.directory.sees(who, experiment_id):
            raise unknown("experiment", experiment_id)
        if method not in READS and not await use.directory.may(who, Role.EDITOR, experiment_id):
            raise denied("an editor of the experiment's workspace")
    elif "workspace" in params:
        needed = Role.EDITOR if EDITED.match(connection.scope["route"].path) else Role.ADMIN
        workspace_rule(use, who, params["workspace"], method, needed)
    else:
        _check(who, rule_of(method, connection.scope["route"].path))


def workspace_rule(
    use: Parts, who: Caller, workspace: str, method: str, needed: Role = Role.ADMIN
) -> None:
    """Raise ProblemError unless a caller may read a workspace, or has the role to change it."""
    if workspace not in use.ledger.state.workspaces or not who.may(Role.VIEWER, workspace):
        raise unknown("workspace", workspace)
    if method not in READS and not who.may(needed, workspace):
        raise denied(f"{_CALLED[needed]} of the workspace {workspace}")


def editor_of(use: Parts, who: Caller, workspace: str) -> None:
    """Raise ProblemError unless a caller may change things in a workspace."""
    workspace_rule(use, who, workspace, "POST", Role.EDITOR)


def denied(needed: str) -> ProblemError:
    """The problem of a caller who may not do this."""
    detail = f"Only {needed} may do this."
    return ProblemError(403, detail, kind="urn:shoal:problem:denied")


def _check(who: Caller, rule: Rule) -> None:
    match rule:
        case Rule.ANYONE:
            pass
        case Rule.USER:
            if who.experiment is not None:
                raise denied("a user, and not a trial,")
        case Rule.EDITOR:
            if not who.somewhere(Role.EDITOR):
                raise denied("an editor of a workspace")
        case Rule.ADMIN:
            if not who.rules(Role.ADMIN):
                raise denied("an administrator of the cluster")
