"""Virtual time: the real deciders over what was measured before."""
