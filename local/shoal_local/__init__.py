"""The whole of Shoal on one machine: NATS and Redis from wheels, every service a child process."""
