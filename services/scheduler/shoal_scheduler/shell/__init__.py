"""What touches the world: listening for heartbeats, reading how pools are shared."""
