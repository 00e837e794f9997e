"""What touches the world: nothing yet; the host in `shoal_bus` is enough for the searcher."""
