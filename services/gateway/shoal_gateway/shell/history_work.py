"""The heavy part of writing files, which a process of its own does, so that nobody who asks or
reports waits for it."""

import multiprocessing
import os
import threading
from collections.abc import Sequence

import polars as pl

from shoal_gateway.core.history.table import of_blocks, ordered

NICENESS = 10
"""How much it steps back behind other processes."""


def step_back() -> None:
    """What the process does first: it leaves others their turn, and ends when its parent does."""
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def write_blocks(blocks: Sequence[bytes], after: int, path: str) -> bool:
    """Write the points of blocks that come after a sequence; False, and no file, if none do."""
    points = of_blocks(blocks, after)
    if not points.is_empty():
        _write(points, path)
    return not points.is_empty()


def merge(files: Sequence[tuple[str, int]], path: str) -> None:
    """Write the points of some files, of each those after a sequence, into one."""
    tables = [pl.read_parquet(file).filter(pl.col("sequence") > after) for file, after in files]
    _write(pl.concat(tables), path)


def _write(points: pl.DataFrame, path: str) -> None:
    ordered(points).write_parquet(path, compression="zstd", row_group_size=100_000)
