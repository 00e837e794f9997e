"""Which GPUs must not get work: by what they count, and by what was seen of them before."""

from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Counters:
    """What a GPU says of its memory; None: it cannot tell.

    https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/
    """

    uncorrected: int | None = None
    """ECC errors that it could not correct, since its driver was loaded."""
    pending: bool | None = None
    """Whether rows of its memory are to be remapped at its next reset."""
    failed: bool | None = None
    """Whether a row could not be remapped."""


class Seen(BaseModel, frozen=True):
    """A fault that was seen, and in which life of the machine."""

    boot_id: str
    reason: str


def fault(number: int, counters: Counters) -> str | None:
    """What is wrong with a GPU, if anything."""
    if counters.failed:
        return f"GPU {number} has memory that it cannot remap: it has to be replaced"
    if counters.pending:
        return f"GPU {number} has memory to remap: it has to be reset"
    if counters.uncorrected:
        return f"GPU {number} counts {counters.uncorrected} ECC errors that it could not correct"
    return None


def remembered(seen: Seen | None, boot_id: str) -> str | None:
    """What is still wrong with this machine by what was seen: a fault stays until it is booted."""
    return seen.reason if seen is not None and seen.boot_id == boot_id else None
