"""Global batches: the same ones in the same order, whatever the slots and wherever it was cut."""

import itertools
import random
from collections.abc import Iterator
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from shoal.training.data import Loader

NUMBERS = TensorDataset(torch.arange(50))


def steps(loader: Loader) -> Iterator[list[int]]:
    """The samples of each global batch that one rank sees."""
    seen: list[int] = []
    for (batch,) in loader:
        seen += batch.tolist() if loader.weight else []
        if loader.boundary:
            yield seen
            seen = []


@settings(max_examples=40, deadline=None)
@given(
    slots=st.integers(1, 5), batch=st.integers(5, 20), most=st.none() | st.integers(1, 7),
    cut=st.integers(0, 9), drop=st.booleans(), seed=st.integers(0, 3),
)  # fmt: skip
def test_the_order_is_of_the_seed_alone(
    slots: int, batch: int, most: int | None, cut: int, drop: bool, seed: int
) -> None:
    wanted = Loader(NUMBERS, batch, seed=seed, drop_last=drop).order()
    cut = min(cut, len(wanted))
    ranks = []
    for rank in range(slots):
        where = {"rank": rank, "world_size": slots, "seed": seed, "drop_last": drop}
        first = Loader(NUMBERS, batch, **where)
        before = list(itertools.islice(steps(first), cut))
        place = first.state_dict()
        second = Loader(NUMBERS, batch, max_batch=most, **where)  # cut, and started anew
        second.load_state_dict(place)
        ranks.append(before + list(steps(second)))
        assert (second.epoch, second.position) == (1, 0)
    assert [list(chain.from_iterable(parts)) for parts in zip(*ranks, strict=True)] == wanted


def test_each_epoch_has_an_order_of_its_own() -> None:
    loader = Loader(NUMBERS, 10)
    first, second = list(steps(loader)), list(steps(loader))
    assert first != second
    assert sorted(chain.from_iterable(first)) == sorted(chain.from_iterable(second))
    assert len(loader) == 5


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("most", [None, 2])
def test_weighted_gradients_are_those_of_the_global_batch(slots: int, most: int | None) -> None:
    """By hand what data-parallel training does: sum over micro-batches, mean over ranks."""
    inputs = torch.rand(23, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = TensorDataset(inputs)
    model = nn.Linear(4, 1).double()
    for number, indices in enumerate(Loader(data, 8, drop_last=False).order()):
        (wanted,) = torch.autograd.grad(model(inputs[indices]).square().mean(), model.weight)
        total = torch.zeros_like(wanted)
        for rank in range(slots):
            where = {"rank": rank, "world_size": slots, "drop_last": False}
            loader = Loader(data, 8, max_batch=most, **where)
            loader.position = number
            for (batch,) in loader:
                loss = model(batch).square().mean() * loader.weight
                total += torch.autograd.grad(loss, model.weight)[0] / slots
                if loader.boundary:
                    break
        assert torch.allclose(total, wanted)


class Noisy(Dataset[float]):
    """What is read differs at each look, as augmented images do."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> float:
        return index + random.random() + float(torch.rand(()))


def test_what_is_random_in_loading_processes_is_of_the_sample_alone() -> None:
    def numbers(world_size: int, workers: int) -> list[float]:
        return sorted(
            float(x)
            for rank in range(world_size)
            for batch in Loader(Noisy(), 4, rank=rank, world_size=world_size, num_workers=workers)
            for x in batch
        )

    state = torch.get_rng_state()
    assert numbers(1, 1) == numbers(2, 2)
    assert torch.equal(torch.get_rng_state(), state)  # the script's own numbers are untouched


def test_what_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ValueError, match="no share for 4 slots"):
        Loader(NUMBERS, 3, world_size=4)
    with pytest.raises(ValueError, match="drop_last=False"):
        Loader(NUMBERS, 64)
    with pytest.raises(ValueError, match="place is in 49 samples"):
        Loader(NUMBERS, 5).load_state_dict({"epoch": 0, "position": 1, "samples": 49})
