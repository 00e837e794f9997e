"""Which rank's failure is the one to tell of: the first that is no echo of another.

A rank that raises an exception may take longer to end than the others, which fail in an exchange
with it: neither the order of ends nor, over several machines, the clock alone tells the cause.
"""

import re

from pydantic import BaseModel

_GONE = re.compile(
    "|".join(
        (
            r"gloo/transport/",
            r"Connection (closed|reset) by peer",
            r"Connection closed by remote peer",
            r"DistNetworkError",  # of the store at which ranks meet
            r"Did the remote server shutdown or crash",
            r"ncclRemoteError",
            r"remote process (exit|crash)",
            r"NCCL communicator was aborted",
            r"collective operation timeout",
            r"rank [\d, ]+ did not come: did it fail before",  # `shoal.training.ranks`
        )
    )
)
"""What torch.distributed says where another rank is gone."""


class Failure(BaseModel, frozen=True):
    """How one rank failed."""

    reason: str
    exit_code: int
    at: float
    """Unix seconds."""
    echo: bool
    """Whether it failed since another was gone."""
    lost: bool = False
    """Whether the platform failed it, not its script."""

    def before(self, other: "Failure | None") -> bool:
        """Whether this is rather the cause."""
        return other is None or (self.echo, self.at) < (other.echo, other.at)


def is_echo(text: str) -> bool:
    """Whether an exception, or the last line on stderr, says that another rank is gone."""
    return _GONE.search(text) is not None
