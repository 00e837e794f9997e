"""The scheduler's decisions. Pure."""
