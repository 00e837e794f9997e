"""The provisioner's decisions. Pure."""
