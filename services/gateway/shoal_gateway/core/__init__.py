"""The pure part of the gateway: how events become rows, and how ids of streams are written."""
