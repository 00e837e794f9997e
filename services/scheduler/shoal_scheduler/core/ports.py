"""Which port a gang may meet at."""

from shoal_scheduler.core.state import Node, State


class Ports:
    """The rendezvous ports that live allocations use, by host: nodes may share one."""

    def __init__(self, state: State) -> None:
        self._used: dict[str, set[int]] = {}
        for allocation in state.allocations.values():
            if allocation.rendezvous is not None:
                meeting = allocation.rendezvous
                self._used.setdefault(meeting.host, set()).add(meeting.port)

    def free(self, node: Node) -> int | None:
        """A port that `node` offers and nobody uses, taken in turn; None: there is none."""
        used = self._used.get(node.host, set())
        count = len(node.ports)
        turn = (node.ports[(node.port_uses + step) % count] for step in range(count))
        return next((port for port in turn if port not in used), None)

    def take(self, node: Node) -> None:
        """The port that `free` named is used from now on."""
        port = self.free(node)
        if port is not None:
            self._used.setdefault(node.host, set()).add(port)
