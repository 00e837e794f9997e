"""What a caller may do at the feed: subjects with wildcards, for a NATS server that knows nothing
of workspaces.

The names of JetStream's requests are in
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-1.md and ADR-15, ADR-34.
"""

from dataclasses import dataclass

from shoal_contract.subjects import FEED, feed_stream, feed_subjects
from shoal_gateway.core.ledger.caller import Caller, caller_of
from shoal_gateway.core.ledger.state import State

LONGEST = 900.0
"""Seconds after which a connection ends: what its token allows may be another thing by then."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who may connect."""

    name: str
    workspaces: tuple[str, ...]
    """See `readable`."""
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    expires_at: float
    """Unix seconds."""


def entry_of(state: State, sha256: str, now: float) -> Entry | None:
    """What the token with this SHA-256 lets its holder do; None: not even connect."""
    caller = caller_of(state, sha256, now)
    if caller is None:
        return None
    workspaces = readable(caller)
    if not workspaces:
        return None
    return Entry(
        name=caller.user,
        workspaces=tuple(workspaces),
        publish=tuple(subject for workspace in workspaces for subject in requests(workspace)),
        subscribe=(f"{inbox(caller.token_id)}.>", *map(events, workspaces)),
        expires_at=min(state.tokens[sha256].expires_at, now + LONGEST),
    )


def readable(caller: Caller) -> list[str]:
    """The workspaces whose events a caller may read; `*` stands for all, of tomorrow too."""
    if caller.experiment is not None:
        return []
    return ["*"] if caller.sees_all else sorted(caller.workspaces)


def events(workspace: str) -> str:
    """The subjects of a workspace's events, as they happen."""
    return f"{FEED}.>" if workspace == "*" else feed_subjects(workspace)


def inbox(token_id: str) -> str:
    """What the subjects begin with to which a caller has answers sent. Nobody else's are readable:
    they hold what others asked for."""
    return f"_INBOX_{token_id}"


def requests(workspace: str) -> list[str]:
    """What a reader of a workspace's stream asks JetStream: to make a consumer, what it is like,
    the next messages; acknowledgements, and flow control. All readers of one stream may see all of
    it, so a consumer's filter and name need no look."""
    stream = "*" if workspace == "*" else feed_stream(workspace)
    return [
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
        f"$JS.ACK.{stream}.>",
        f"$JS.FC.{stream}.>",
    ]
