"""The drivers, one contract for all."""
