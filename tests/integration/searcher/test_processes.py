"""Samplers compute in a few processes: one that thinks long keeps no other experiment waiting."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from shoal_contract.ranges import flatten
from shoal_searcher.core import space
from shoal_searcher.core.sampling import Ask, Observation
from shoal_searcher.shell.sampling import Samplers

SPACE = {f"x{n}": {"type": "double", "minval": 0, "maxval": 1} for n in range(6)}
SEEN = tuple(
    Observation(flatten(space.sample(SPACE, 5, n)), (float(n % 17),)) for n in range(100)
)  # fmt: skip


def question(experiment_id: str, sampler: str, **changes: Any) -> Ask:
    given: dict[str, Any] = {
        "number": 0, "seed": 1, "space": SPACE, "constraints": (), "objectives": 1, "count": 1,
        "known": 0, "history": (), "pending": (), "asks": (), "told": (),
    }  # fmt: skip
    return Ask(experiment_id=experiment_id, sampler=sampler, **(given | changes))


@pytest.fixture
def two() -> Iterator[Samplers]:
    found = Samplers(2)
    yield found
    found.close()


async def test_long_thoughts_leave_a_process_to_the_others(two: Samplers) -> None:
    long = [
        asyncio.create_task(two.answer(question(f"long-{n}", "gp", count=4, history=SEEN)))
        for n in range(2)
    ]
    await asyncio.sleep(0)  # both are under way, or wait
    quick = [await two.answer(question(f"quick-{n}", "nsgaii")) for n in range(3)]
    assert not long[1].done(), "it waits for the other one that thinks long"
    assert all(len(answer.proposals) == 1 for answer in quick)
    for answer in await asyncio.gather(*long):
        assert (len(answer.proposals), answer.failure) == (4, "")


async def test_an_experiment_goes_back_to_the_process_where_its_study_is(two: Samplers) -> None:
    first = question("a", "cmaes")
    both = await asyncio.gather(two.answer(first), two.answer(question("b", "cmaes")))
    assert all(len(answer.proposals) == 1 for answer in both)
    a, b = two._last["a"], two._last["b"]
    assert a is not b
    for number in range(1, 4):
        await two.answer(question("b", "cmaes", number=number, asks=((0, 1),) * number))
        assert two._last["b"] is b


async def test_why_a_sampler_failed_is_told(two: Samplers) -> None:
    broken = await two.answer(question("a", "tpe", objectives=0))
    assert broken.proposals == []
    assert broken.failure.startswith("ValueError: ")


async def test_a_process_is_ready_before_the_first_question(two: Samplers) -> None:
    two.start()
    assert [process.started for process in two._all] == [True, False]
    assert len((await two.answer(question("a", "nsgaii"))).proposals) == 1
    assert two._last["a"] is two._all[0]
