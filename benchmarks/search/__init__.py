"""Search methods of Shoal and its peers on the same recorded learning curves and virtual clock."""
