"""What Shoal costs a training: steps a second beside plain torchrun; stalls; points a second."""

import math
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.worker.rows import Row, rows, shown
from benchmarks.worker.stand import CUDA, RANKS, Stand, end, torchrun
from benchmarks.worker.stand import stand as platform
from shoal.training.saver import Figures, Saver

RINGS, ROUNDS = 16, 12
"""Each of fresh processes; rounds of turns of each process."""
T95 = 2.131
"""Student's t for 95 % and fifteen degrees of freedom."""
BLOCKS, BLOCK = 10, 100
"""Of steps, three of them a turn; steps in each."""
STATE = 100_000_000
"""Bytes."""


def overhead(folder: Path) -> Iterator[tuple[str, str]]:
    """The same script under torchrun and under Shoal, two of each, for a tenth of a second each in
    turns, so that a machine that is faster now and slower then is so for all. Two processes that do
    the same differ a little for as long as they live: so there are many rings of four, and a
    figure is one of rings, beside what the two of torchrun differ by among themselves. Each ring
    has a platform of its own: the ranks of one launcher lie in memory as the launcher does, so
    that what this happens to cost would be in all rings alike."""
    rings = []
    for number in range(RINGS):
        print(f"overhead: ring {number + 1} of {RINGS}", file=sys.stderr)
        with platform(folder / f"ring-{number}") as stand:
            rings.append(_ring(stand))
    for kind, name in enumerate(("torchrun", "Shoal, each step reported")):
        rates = [1 / seconds for ring in rings for row in ring[kind::2] for seconds in row["wall"]]
        yield f"steps/s, one rank: {name}", shown(rates, "steps/s")
    for what, label in (("wall", "wall clock"), ("cpu", "CPU time of the training process")):
        found = [_shares([row[what] for row in ring]) for ring in rings]
        ours = [statistics.fmean(ring[1::2]) - statistics.fmean(ring[::2]) for ring in found]
        yield f"overhead, {label}: mean of {RINGS} rings, 95 % of it", _interval(ours)
        alike = [ring[2] - ring[0] for ring in found]
        yield "the same of torchrun's second against its first", _interval(alike)


def _ring(stand: Stand) -> list[Row]:
    """Four processes that take turns: what torchrun's and Shoal's found, one after the other."""
    pipes = [stand.folder / f"turn-{place}" for place in range(4)]
    for pipe in pipes:
        os.mkfifo(pipe)
    files = [stand.folder / f"speed-{place}.jsonl" for place in range(4)]
    ways = [(str(ROUNDS), str(pipes[n]), str(pipes[(n + 1) % 4])) for n in range(4)]
    with pipes[0].open("r+b", buffering=0) as first:
        plain = [torchrun(files[n], 1, "speed", *ways[n]) for n in (0, 2)]
        try:
            ours = [stand.submit("speed", *ways[n]) for n in (1, 3)]
            first.write(b"t")
            for process in plain:
                process.wait(600)
            for experiment, _ in ours:
                stand.ended(experiment)
        finally:
            for process in plain:
                end(process)
    files[1], files[3] = (file for _, file in ours)
    return [rows(file)[0] for file in files]


def _shares(times: Sequence[Sequence[float]]) -> list[float]:
    """By how many per cent each process took longer than all did, at the median of rounds."""
    means = [statistics.fmean(together) for together in zip(*times, strict=True)]
    return [
        statistics.median(100 * (own / mean - 1) for own, mean in zip(one, means, strict=True))
        for one in times
    ]


def _interval(values: Sequence[float]) -> str:
    """A mean, and its 95 % by Student's distribution."""
    half = T95 * statistics.stdev(values) / math.sqrt(len(values))
    mean = statistics.fmean(values)
    return f"{mean:+.2f} % ({mean - half:+.2f} to {mean + half:+.2f})"


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
