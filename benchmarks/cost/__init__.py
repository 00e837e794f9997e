"""What a sweep costs under each way of getting machines, on measured traces of spot capacity."""
