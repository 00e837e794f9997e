"""A worker's decider that another interpreter can make without arguments."""

from shoal_worker.core.decider import WorkerDecider


class Desk(WorkerDecider):
    def __init__(self) -> None:
        super().__init__("n", "i")
