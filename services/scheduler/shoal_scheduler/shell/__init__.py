"""What touches the world: heartbeats, the file on how pools are shared, the memory."""
