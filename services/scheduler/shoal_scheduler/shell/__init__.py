"""What touches the world: listening for heartbeats."""
