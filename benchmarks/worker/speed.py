"""What Shoal costs a training: steps a second beside plain torchrun; stalls; points a second."""

import math
import os
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch

from benchmarks.worker.rows import rows, shown
from benchmarks.worker.stand import CUDA, RANKS, Stand, torchrun
from shoal.training.saver import Figures, Saver

PAIRS = 1000
"""Of turns."""
BLOCKS, BLOCK = 10, 100
"""Of steps, three of them a turn; steps in each."""
STATE = 100_000_000
"""Bytes."""


def overhead(stand: Stand, folder: Path) -> Iterator[tuple[str, str]]:
    """The same script under torchrun and under Shoal, for a fraction of a second each in turns, so
    that a machine that is faster now and slower then is so for both. Each turn of Shoal's is
    compared with the mean of those before and after it."""
    pipes = [folder / name for name in ("turn-plain", "turn-ours")]
    for pipe in pipes:
        os.mkfifo(pipe)
    file = folder / "speed.jsonl"
    with pipes[0].open("r+b", buffering=0) as first:
        plain = torchrun(file, 1, "speed", str(PAIRS), *map(str, pipes))
        experiment, own = stand.submit("speed", str(PAIRS), *map(str, reversed(pipes)))
        first.write(b"t")
        plain.wait(600)
        stand.ended(experiment)
    names = {"torchrun": rows(file)[0], "Shoal, each step reported": rows(own)[0]}
    for name, row in names.items():
        rates = [1 / seconds for seconds in row["wall"]]
        yield f"steps/s, one rank: {name}", shown(rates, "steps/s")
    for what, label in (("wall", "wall clock"), ("cpu", "CPU time of the training process")):
        plain_ones, ours = (row[what] for row in names.values())
        theirs = [(before + after) / 2 for before, after in pairwise(plain_ones)]
        each = sorted(100 * (b / a - 1) for a, b in zip(theirs, ours, strict=False))
        off = round(0.98 * math.sqrt(len(each)))  # by order statistics
        low, high = each[len(each) // 2 - off], each[len(each) // 2 + off]
        yield (
            f"overhead, {label}: median of {len(each)} turns, 95 % of it",
            f"{statistics.median(each):+.2f} % ({low:+.2f} to {high:+.2f})",
        )


def turns(stand: Stand) -> Iterator[tuple[str, str]]:
    """What a report and a question after each step cost the training process: steps that sleep,
    so that all CPU time is Shoal's, and blocks in turns, so that a busy machine does not count."""
    for ranks in RANKS:
        experiment, file = stand.submit(
            "turns",
            str(BLOCKS),
            resources={"slots_per_trial": ranks},
            searcher={"max_time": BLOCKS * 3 * BLOCK},
        )
        stand.ended(experiment)
        row = next(row for row in rows(file) if row["rank"] == 0)
        for kind, what in (("reported", "a report"), ("asked", "a report and a question")):
            cost = [1e6 * (b - a) for a, b in zip(row["plain"], row[kind], strict=True)]
            share = statistics.median(cost) / 10_000
            yield (
                f"CPU time that {what} costs a step, {ranks} rank(s)",
                f"{shown(cost, 'µs')}: {100 * share:.2f} % of 10 ms",
            )


def stalls(folder: Path) -> Iterator[tuple[str, str]]:
    """How long training waits for a checkpoint of 100 MB, in the GPU's memory if there is one."""
    device = "cuda" if CUDA else "cpu"
    state = {f"layer{n}": torch.rand(STATE // 40, device=device) for n in range(10)}
    for wait in (True, False):
        found: list[Figures] = []
        saver = Saver(
            f"file://{folder}/stall-{wait}",
            1,
            0,
            lambda _, figures, found=found: found.append(figures),
        )
        for step in range(6):
            saver.save(step, {"model": state}, wait=wait)
            saver.finish()  # training would take longer than the write
        told = found[1:]  # the first one makes the buffers
        if wait:
            total = [(f.stall + f.write) * 1000 for f in told]
            yield "checkpoint of 100 MB: stall, synchronous", shown(total, "ms")
        else:
            yield (
                "checkpoint of 100 MB: stall, asynchronous",
                shown([f.stall * 1000 for f in told], "ms"),
            )


def points(stand: Stand) -> Iterator[tuple[str, str]]:
    """From the training process to the stream."""
    found, said = [], []
    for _ in range(3):
        experiment, file = stand.submit("points", "3000")
        stand.ended(experiment)
        row = rows(file)[0]
        found.append(row["points"] / row["safe"])
        said.append(row["said"] / row["points"] * 10 * 1e6)
    yield "metric points/s from training to the stream (ten a report)", shown(found, "points/s")
    yield "what one report costs the training", shown(said, "µs")
