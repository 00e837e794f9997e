"""How fast the gateway takes metrics in, lists, and tells its subscribers."""
