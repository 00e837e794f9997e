"""From a trial's request to its slots, over real NATS."""
