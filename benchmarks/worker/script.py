"""What the benchmarks train. `python script.py WHAT FILE [N]`; each line that it writes to FILE is
a JSON object. It runs under Shoal, and as it is under torchrun's environment."""

import ctypes
import json
import os
import random
import sys
import time

import torch
import torch.distributed as dist
from torch import nn

FILE = sys.argv[2]
BLOCK = 100
"""Steps."""
PART, PARTS, WARM = 8, 10, 2
"""Steps of a turn, about a tenth of a second; turns of a round; rounds that do not count."""
CUDA = torch.cuda.is_available()
DEVICE = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if CUDA else "cpu"


def say(**row: object) -> None:
    with open(FILE, "a") as file:
        file.write(json.dumps({"time": time.time(), **row}) + "\n")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 26 * 26, 10))


def dense() -> nn.Module:
    """A model whose time is that of its products of matrices: most of it lies in the cache, so that
    where its tensors lie in memory matters little."""
    torch.manual_seed(0)
    layers = [(nn.Linear(256, 256), nn.ReLU()) for _ in range(6)]
    return nn.Sequential(*(part for layer in layers for part in layer))


class Training:
    """A model and one batch."""

    def __init__(self, model: nn.Module | None = None, batch: torch.Tensor | None = None) -> None:
        torch.set_num_threads(1)
        self.model = (model or network()).to(DEVICE)
        self.replica: nn.Module = self.model
        if dist.is_initialized():
            self.replica = nn.parallel.DistributedDataParallel(self.model)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.batch = (torch.rand(32, 1, 28, 28) if batch is None else batch).to(DEVICE)

    def step(self) -> torch.Tensor:
        """One optimizer step; its loss."""
        self.optimizer.zero_grad()
        loss = self.replica(self.batch).square().mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def first() -> None:
    """The first step, of one or more ranks; torchrun's way or Shoal's."""
    if "SHOAL_SOCKET" in os.environ:
        import shoal

        run = shoal.init()
        Training().step().item()
        say(rank=run.rank)
        run.report(step=1, loss=0.0)
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        dist.init_process_group("nccl" if CUDA else "gloo")
    Training().step().item()
    say(rank=int(os.environ.get("RANK", "0")))
    if dist.is_initialized():
        dist.destroy_process_group()


def three() -> None:
    """Three numbers, and nothing else."""
    import shoal

    run = shoal.init()
    for step in (1, 2, 3):
        run.report(step=step, loss=1.0 / step)


def keep_memory() -> None:
    """Have the C library keep what is freed. Else it depends on where things happen to lie how much
    of each step's memory goes back to the kernel and comes anew: of two processes that do the same,
    whoever starts them, one was 30 % slower. https://man7.org/linux/man-pages/man3/mallopt.3.html"""
    for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        ctypes.CDLL(None).mallopt(parameter, 2**30)


def speed(rounds: int, mine: str, other: str) -> None:
    """Rounds of steps of some 10 ms, in turns with other processes that do the same: seconds and
    CPU seconds a step in each round. `mine` and `other` are pipes: who reads a byte from its own
    trains for a turn, then writes one to the next one's, so that all others are still meanwhile.
    Turns are short, as a machine is slower for seconds on end. In the first turn of a round new
    tensors are made: from the first ones on, for which no other process may still be starting.
    Under Shoal each step is reported and asks whether to stop, and what is said at the end of a
    round costs it the CPU time of being sent."""
    run = None
    if "SHOAL_SOCKET" in os.environ:
        import shoal

        run = shoal.init()
    keep_memory()
    wall: list[float] = []
    cpu: list[float] = []
    step = 0
    with open(mine, "r+b", buffering=0) as turn, open(other, "r+b", buffering=0) as next_turn:
        for _ in range(rounds + WARM):
            took = busy = 0.0
            for part in range(PARTS):
                turn.read(1)
                if part == 0:
                    training = moved()
                training.step()  # its data are in the caches
                began, before = time.perf_counter(), time.process_time()
                for _ in range(PART):
                    step += 1
                    value = float(training.step())
                    if run is not None:
                        run.report(step=step, training_loss=value)
                        run.should_stop()
                took, busy = took + time.perf_counter() - began, busy + time.process_time() - before
                if part < PARTS - 1:
                    next_turn.write(b"t")
            before = time.process_time()
            if run is not None:
                run.finish()
            sent = time.process_time() - before
            wall.append((took + sent) / (PART * PARTS))
            cpu.append((busy + sent) / (PART * PARTS))
            next_turn.write(b"t")
    say(wall=wall[WARM:], cpu=cpu[WARM:])
    if run is not None:
        run.report(step=step, loss=value)


def moved() -> Training:
    """The same training with all tensors in other places, after a step."""
    gap = [torch.empty(random.randrange(1, 200_000)) for _ in range(20)]
    training = Training(dense(), torch.rand(65_536 if CUDA else 512, 256))
    training.step()
    del gap
    return training


def turns(blocks: int) -> None:
    """Blocks of steps that sleep for 10 ms, in turns plain, with a report, and with a report and a
    question after each step: CPU seconds a step in each. All of it is Shoal's, however busy the
    machine is."""
    import shoal

    run = shoal.init()
    found: dict[str, list[float]] = {"plain": [], "reported": [], "asked": []}
    step = 0
    for _ in range(blocks):
        for kind, costs in found.items():
            busy = time.process_time()
            for _ in range(BLOCK):
                step += 1
                time.sleep(0.01)
                if kind != "plain":
                    run.report(step=step, training_loss=0.5)
                if kind == "asked":
                    run.should_stop()
            if kind != "plain":
                run.finish()  # what is sent late is paid here, too
            costs.append((time.process_time() - busy) / BLOCK)
            run.report(step=step, loss=0.0)
    say(rank=run.rank, **found)


def forever() -> None:
    """Steps of 50 ms, each saved; each attempt goes on where the last one was."""
    if "SHOAL_SOCKET" in os.environ:
        import shoal

        run = shoal.init()
        training = Training()
        step = run.restore(model=training.model, optimizer=training.optimizer)
        while not run.should_stop():
            training.step()
            step += 1
            time.sleep(0.05)
            say(step=step, pid=os.getppid())
            run.checkpoint(step=step, model=training.model, optimizer=training.optimizer)
            run.report(step=step, loss=1.0)
        return
    state = FILE + ".pt"
    training = Training()
    step = 0
    if os.path.exists(state):
        content = torch.load(state, weights_only=True)
        step = content.pop("step")
        training.model.load_state_dict(content)
    while True:
        training.step()
        step += 1
        time.sleep(0.05)
        say(step=step, pid=os.getpid())
        torch.save({**training.model.state_dict(), "step": step}, state + ".draft")
        os.replace(state + ".draft", state)


def points(reports: int) -> None:
    """Reports of ten numbers, as fast as they go; the time until all are safe."""
    import shoal

    run = shoal.init()
    began = time.perf_counter()
    for step in range(1, reports + 1):
        run.report(step=step, **{f"m{k}": step * k for k in range(10)})
    said = time.perf_counter() - began
    run.finish()
    say(said=said, safe=time.perf_counter() - began, points=10 * reports)
    run.report(step=1, loss=0.0)


if __name__ == "__main__":
    work = {"first": first, "three": three, "forever": forever}
    if sys.argv[1] in work:
        work[sys.argv[1]]()
    elif sys.argv[1] == "speed":
        speed(int(sys.argv[3]), *sys.argv[4:])
    else:
        {"turns": turns, "points": points}[sys.argv[1]](int(sys.argv[3]))
