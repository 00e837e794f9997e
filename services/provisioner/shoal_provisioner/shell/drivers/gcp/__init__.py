"""Google Cloud's machines, by its own client library."""
