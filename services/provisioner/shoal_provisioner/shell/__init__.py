"""What touches the world: the drivers, and the loop that carries decisions out."""
