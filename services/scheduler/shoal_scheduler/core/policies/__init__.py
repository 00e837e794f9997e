"""The policies, one file each."""

from collections.abc import Mapping

from shoal_scheduler.core.policies.base import Policy
from shoal_scheduler.core.policies.fair_share import FairShare
from shoal_scheduler.core.policies.fifo import Fifo
from shoal_scheduler.core.policies.priority import Priority
from shoal_scheduler.core.policies.throughput import Throughput

POLICIES: Mapping[str, Policy] = {
    "fifo": Fifo(),
    "fair_share": FairShare(),
    "priority": Priority(),
    "throughput": Throughput(),
}
"""Name in a pool's settings to policy."""

__all__ = ["POLICIES", "Policy"]
