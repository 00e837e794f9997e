"""Metric points: as blocks while they are new, as tables once they are many."""
