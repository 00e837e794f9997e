"""Shoal on NATS: streams, publishing, consuming, the host that runs any decider, leases."""
