"""Every policy on unlike GPUs: measured throughputs, real job traces, the real scheduler core."""
