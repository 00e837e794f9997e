"""What `shoal doctor` looks at, and what to do about what it finds."""

from shoal.checkup.finding import Finding as Finding

__all__ = ["Finding"]
