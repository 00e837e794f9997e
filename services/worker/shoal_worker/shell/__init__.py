"""What touches the world: processes, devices, files, the line to the ranks."""
