"""The policies, one file each."""

from shoal_scheduler.core.policies.base import Pass, Policy
from shoal_scheduler.core.policies.fifo import Fifo

__all__ = ["Fifo", "Pass", "Policy"]
