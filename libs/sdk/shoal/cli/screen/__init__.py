"""`shoal top`: the cluster and its experiments, live, on a whole terminal."""
