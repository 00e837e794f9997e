"""First come, first served, strictly: the first that finds no place blocks all behind it, so that
no gang starves. Passed over is only who waits for its own experiment's `max_slots`, for its
workspace's quota, or for the end of its trial's previous attempt."""

from shoal_scheduler.core.turn import Turn


class Fifo:
    """The policy of a pool that names no other."""

    def run(self, turn: Turn) -> None:
        """Grant from the head of the queue for as long as the head finds a place."""
        while not turn.over:
            head = turn.next()
            if head is None:
                return
            shares = turn.best(head, turn.room)
            if not shares:
                turn.passed(head, "room")
                return
            turn.grant(head, shares)
