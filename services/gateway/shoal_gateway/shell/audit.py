"""The audit log: an event for each request that would change something."""

import logging
import secrets
import time

from starlette.types import Message, Scope, Send

from shoal_bus.bus import AWAY
from shoal_contract.events import RequestAudited
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.parts import Parts

log = logging.getLogger(__name__)

NOBODY = "nobody"
LOGIN = "/v1/login"
UNKNOWN = 401


class Record:
    """One request, to be written down when its answer begins. Nobody sees the answer before."""

    def __init__(self, use: Parts, scope: Scope, send: Send) -> None:
        self._use, self._scope, self._send = use, scope, send
        self._written = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            await self.write(message["status"])
        await self._send(message)

    async def write(self, status: int) -> None:
        """Write the request down, once. While NATS is away it goes to the service's own log."""
        if self._written:
            return
        self._written = True
        state = self._scope.get("state", {})
        caller: Caller | None = state.get("caller")
        if status == UNKNOWN and caller is None and not self._scope["path"].startswith(LOGIN):
            return  # nobody that we know asked: it is for the service's metrics, if for anything
        event = RequestAudited(
            user=state.get("actor") or (caller.user if caller else NOBODY),
            token_id=caller.token_id if caller else None,
            method=self._scope["method"],
            path=self._scope["path"][:500],
            status=status,
            address=(self._scope.get("client") or ("",))[0],
            at=time.time(),
        )
        try:
            await self._use.publish(event, f"audit-{secrets.token_hex(8)}")
        except (TimeoutError, *AWAY):
            log.error("not in the audit log: %s", event.model_dump_json())
