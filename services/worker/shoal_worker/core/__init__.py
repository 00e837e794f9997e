"""The lifecycle of runs on one machine. Pure."""
