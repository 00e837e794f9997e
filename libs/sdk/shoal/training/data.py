"""The data of a run, by global batches: the same ones in the same order on any number of slots,
from any point of an epoch."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any


class Loader:
    """One rank's share of each global batch, as micro-batches of at most `max_batch` samples.

        for images, labels in loader:
            with loader.accumulate(replica):
                loss = loss_of(replica(images), labels) * loader.weight
                loss.backward()
            if loader.boundary:          # the global batch is complete
                optimizer.step()
                optimizer.zero_grad()

    An iteration goes on where the last one was left, to the end of the epoch; the next begins
    another epoch, in an order of its own. A checkpoint that holds the loader keeps the place.

    Samples are drawn from `dataset[i]`. Where processes load them (`num_workers`), what is random
    in one depends on the seed, the epoch and the sample alone.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        max_batch: int | None = None,
        **options: Any,
    ) -> None:
        if batch_size < world_size:
            raise ValueError(f"a global batch of {batch_size} has no share for {world_size} slots")
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.epoch = 0
        self.position = 0
        """Global batches of this epoch that were handed out."""
        self.weight = 1.0
        """Factor for the mean loss of the micro-batch at hand: so weighted, gradients that are
        summed over micro-batches and averaged over ranks are those of the global batch's mean."""
        self.boundary = True
        """Whether the micro-batch at hand is the last one of its global batch."""
        self._rank, self._world_size = rank, world_size
        self._shuffle, self._max_batch, self._options = shuffle, max_batch, options
        whole, rest = divmod(len(dataset), batch_size)
        self._length = whole if drop_last or not rest else whole + 1
        if self._length == 0:
            raise ValueError(
                f"{len(dataset)} samples make no batch of {batch_size}: use drop_last=False"
            )

    def __len__(self) -> int:
        """Global batches in an epoch."""
        return self._length

    @property
    def seen(self) -> int:
        """Samples that were handed out to all ranks since the first epoch began."""
        return (self.epoch * self._length + self.position) * self.batch_size

    def __iter__(self) -> Iterator[Any]:
        from torch.utils.data import DataLoader

        plan = [part for batch in self._left() for part in self._parts(batch)]
        samples: Any = _Samples(self.dataset, self.seed, self.epoch)
        loader: Any = DataLoader(
            samples,
            batch_sampler=[list(indices) for indices, _, _ in plan],
            generator=_generator(self.seed, self.epoch),  # else it draws from the script's own
            **self._options,
        )
        for content, (_, self.weight, self.boundary) in zip(loader, plan, strict=True):
            self.position += self.boundary
            yield content
        self.epoch, self.position = self.epoch + 1, 0

    def accumulate(self, model: Any) -> AbstractContextManager[Any]:
        """The context of a backward pass: ranks exchange gradients at the boundary alone."""
        if self.boundary or not hasattr(model, "no_sync"):
            return contextlib.nullcontext()
        context: AbstractContextManager[Any] = model.no_sync()
        return context

    def state_dict(self) -> dict[str, int]:
        """The place in the data."""
        return {"epoch": self.epoch, "position": self.position, "samples": len(self.dataset)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from a place. Raises ValueError if it is one in other data."""
        if state["samples"] != len(self.dataset):
            raise ValueError(
                f"the checkpoint's place is in {state['samples']} samples, here are"
                f" {len(self.dataset)}"
            )
        self.epoch, self.position = state["epoch"], state["position"]

    def order(self) -> list[list[int]]:
        """The global batches that are left of this epoch, as indices into the dataset."""
        return [list(batch) for batch in self._left()]

    def _left(self) -> Iterator[Sequence[int]]:
        import torch

        count = len(self.dataset)
        places: Sequence[int] = range(count)
        if self._shuffle:
            places = torch.randperm(count, generator=_generator(self.seed, self.epoch)).tolist()
        for number in range(self.position, self._length):
            yield places[number * self.batch_size : (number + 1) * self.batch_size]

    def _parts(self, batch: Sequence[int]) -> Iterator[tuple[Sequence[int], float, bool]]:
        """This rank's micro-batches: indices, weight, and whether it is the last."""
        total, slots = len(batch), self._world_size
        share = batch[self._rank * total // slots : (self._rank + 1) * total // slots]
        if not share:  # it has to take part all the same
            yield batch[:1], 0.0, True
            return
        pieces = -(-len(share) // (self._max_batch or len(share)))
        for k in range(pieces):
            part = share[k * len(share) // pieces : (k + 1) * len(share) // pieces]
            yield part, slots * len(part) / total, k == pieces - 1


class _Samples:
    """A dataset whose loading processes draw the same numbers for the same sample."""

    def __init__(self, dataset: Any, seed: int, epoch: int) -> None:
        self._dataset, self._seed, self._epoch = dataset, seed, epoch

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        from torch.utils.data import get_worker_info

        if get_worker_info() is not None:
            _seed_process(_mixed(self._seed, self._epoch, index))
        return self._dataset[index]


def _seed_process(seed: int) -> None:
    import random

    import torch

    random.seed(seed)
    torch.manual_seed(seed)
    try:
        import numpy as np
    except ImportError:
        return
    np.random.seed(seed % 2**32)


def _generator(seed: int, epoch: int) -> Any:
    import torch

    return torch.Generator().manual_seed(_mixed(seed, epoch))


def _mixed(*numbers: int) -> int:
    digest = hashlib.blake2b("/".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
