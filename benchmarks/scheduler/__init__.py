"""How many decisions a second the scheduler's core makes, and how long one takes."""
