"""Who shows a trial's token: the worker signed it, so that nobody needs to know it beforehand."""

from shoal_contract.roles import Role
from shoal_gateway.core import keys
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.problems import away


async def trial_of(use: Parts, token: str) -> Caller | None:
    """The trial that a token stands for, while the attempt that it was made for holds slots.

    Raises ProblemError (503) while read models cannot say.
    """
    attempt = use.seal.verify(token) if use.seal is not None else None
    if attempt is None:
        return None
    row = await use.store.row(keys.trial(attempt.trial_id))
    granted = row.get("granted_attempt", 0)
    if granted != attempt.attempt or not row.get("node_ids"):
        ended = granted >= attempt.attempt or row.get("ended_at") is not None
        if not use.projector.ready or not ended:
            detail = "The read models do not know of this attempt yet. Try again in a moment."
            raise away(detail)
        return None
    workspace = await use.directory.workspace_of(attempt.experiment_id)
    if workspace is None:
        return None
    return Caller(
        user=attempt.trial_id,
        token_id=attempt.trial_id,
        cluster=None,
        workspaces={workspace: Role.EDITOR},
        experiment=attempt.experiment_id,
    )
