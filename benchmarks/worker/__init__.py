"""How fast runs start, report, save and come back, beside torchrun and Ray."""
