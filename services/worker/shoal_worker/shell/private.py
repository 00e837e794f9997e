"""What only a trial's own processes are told: its token, and the secrets that it asked for.

None of it is in an event, nor in a log of ours.
"""

from dataclasses import dataclass

from shoal_bus.bus import Bus
from shoal_bus.sealing import Attempt, Seal, SealError
from shoal_contract.events import SecretKept, Task
from shoal_contract.subjects import SECRETS, all_of

TOKEN_LIFETIME = 14 * 86400.0
"""Seconds, at most: the gateway goes by a token only while its attempt holds slots."""


@dataclass(frozen=True, slots=True)
class Private:
    """Where it comes from."""

    bus: Bus
    seal: Seal | None
    """None: no key was given. Trials get no token then, and may ask for no secrets."""
    url: str = ""
    """Of the gateway; empty: trials are not told."""

    async def env(self, task: Task) -> dict[str, str]:
        """Variables for the ranks of a task. Raises SealError for a secret that cannot be read,
        and one of AWAY while NATS is away."""
        if self.seal is None:
            if task.secrets:
                raise SealError("this worker has no SHOAL_SECRET_KEY to read secrets with")
            return {}
        found = {name: await self._secret(self.seal, task.workspace, name) for name in task.secrets}
        attempt = Attempt(task.experiment_id, task.trial_id, task.attempt)
        found["SHOAL_TOKEN"] = self.seal.sign(attempt, TOKEN_LIFETIME)
        return found | ({"SHOAL_URL": self.url} if self.url else {})

    async def _secret(self, seal: Seal, workspace: str, name: str) -> str:
        kept = await self.bus.newest(SECRETS, all_of("secret.kept", workspace, name))
        event = None if kept is None else kept.event
        if not isinstance(event, SecretKept) or event.sealed is None:
            raise SealError(f"the workspace {workspace} has no secret {name}")
        return seal.open(workspace, name, event.sealed)
