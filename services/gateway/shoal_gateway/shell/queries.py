"""What may stand behind the `?`: a parameter that a route does not know is refused, so that nobody
takes an answer for one that was filtered."""

from fastapi import params
from fastapi.dependencies.utils import get_flat_params
from starlette.requests import HTTPConnection

from shoal_gateway.shell.problems import wrong
from shoal_gateway.shell.rules import MLFLOW

OPEN_ENDED = ("/v1/login/oidc/callback",)
"""Providers add parameters of their own (RFC 6749, 4.1.2: those not known are to be ignored)."""


async def known(connection: HTTPConnection) -> None:
    """Raise ProblemError for a parameter that the route does not declare."""
    path = connection.scope["path"]
    if not connection.query_params or path.startswith(MLFLOW) or path in OPEN_ENDED:
        return
    declared = [
        field.alias
        for field in get_flat_params(connection.scope["route"].dependant)
        if isinstance(field.field_info, params.Query)
    ]
    for name in connection.query_params:
        if name not in declared:
            some = f"it takes {', '.join(sorted(declared))}" if declared else "it takes none"
            raise wrong(name, f"There is no parameter {name!r} here: {some}.")
