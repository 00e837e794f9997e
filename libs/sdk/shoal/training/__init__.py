"""The training API: what a rank calls."""
