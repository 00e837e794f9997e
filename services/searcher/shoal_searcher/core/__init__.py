"""The searcher's decisions. Pure."""
