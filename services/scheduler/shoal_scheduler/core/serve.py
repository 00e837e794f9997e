"""How a policy with an order serves its line: whole gangs, room made for those who are owed it,
and nobody delays the first who waits."""

from typing import Protocol

from shoal_scheduler.core.ahead import Ahead
from shoal_scheduler.core.models import Allocation
from shoal_scheduler.core.room import Room
from shoal_scheduler.core.turn import Turn

DEPTH = 32
"""How many that find no place are looked at in one pass. Of those behind them only who asks for no
more than is free is, until as many of these have found none."""

PATIENCE = 600.0
"""Seconds after which one that is owed nothing is no more overtaken by others of its own owner, so
that these leave it room."""


class Rules(Protocol):
    """What differs between policies that serve a line in order."""

    def owed(self, allocation: Allocation) -> bool:
        """Whether slots may be kept for an allocation that finds no place."""
        ...

    def smaller(self, allocation: Allocation, other: Allocation) -> bool:
        """Whether another may be made smaller for it."""
        ...

    def victims(self, allocation: Allocation, room: Room) -> list[Allocation]:
        """Who has to yield so that it fits in a room; nobody, if it would not even then."""
        ...


def serve(turn: Turn, rules: Rules) -> None:
    """Serve the pool's line: start who fits; for who does not, ask slots back if that makes room.

    The first that still finds none has the place reserved that it will get: others start only
    beside it, or there, if they are predicted to end before.
    """
    ahead: Ahead | None = None
    first: Allocation | None = None
    waits = False
    blocked: dict[str, None] = {}
    while not turn.over and len(turn.why) < 2 * DEPTH:
        far = ahead is not None and len(turn.why) >= DEPTH
        head = turn.next(ahead.most if far and ahead is not None else None)
        if head is None:
            return
        if turn.owner(head) in blocked:
            turn.passed(head, "behind")
            continue
        shares = turn.best(head, ahead.now if ahead else turn.room)
        if shares and first is not None and ahead is not None:
            ahead.reserve(first)
            first = None
            shares = turn.best(head, ahead.now)
        if shares and ahead is None:
            turn.grant(head, shares)
        elif shares and ahead is not None:
            ahead.start(head, shares)
        elif ahead is not None and (brief := ahead.brief(head)):
            ahead.lend(head, brief)
        else:
            ahead = ahead or Ahead(turn)
            owed = rules.owed(head)
            if owed and not far and _make_room(ahead, rules, head):
                turn.promise(head)
                continue
            turn.passed(head, "reserved" if turn.find(head, turn.room) else "room")
            if owed and not waits:
                first, waits = head, True
            elif not owed and turn.now - head.since >= PATIENCE:
                blocked[turn.owner(head)] = None


def _make_room(ahead: Ahead, rules: Rules, head: Allocation) -> bool:
    """Promise a head the slots that are being left, or ask others for theirs."""
    turn = ahead.turn
    shares = turn.find(head, ahead.later)
    if not shares:
        if not turn.config.preemption:
            return False
        if not ahead.shrink(head, lambda other: rules.smaller(head, other)):
            victims = rules.victims(head, ahead.later)
            if not victims:
                return False
            ahead.release(victims)
        shares = turn.find(head, ahead.later)
    ahead.promise(shares)
    return True
