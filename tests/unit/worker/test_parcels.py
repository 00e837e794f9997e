"""Which reports are told together."""

from hypothesis import given
from hypothesis import strategies as st

from shoal_contract.line import Numbers
from shoal_worker.core.parcels import TOGETHER, parcels


def numbers(step: int, group: str = "training", names: int = 1) -> Numbers:
    metrics = {f"loss{n}": 1.0 for n in range(names)}
    return Numbers(step=step, metrics=metrics, group=group)  # type: ignore[arg-type]


def test_reports_of_one_group_that_follow_one_another_go_together() -> None:
    items = [numbers(1), numbers(2), numbers(3, "validation"), numbers(4)]
    assert parcels(items) == [items[:2], items[2:3], items[3:]]
    assert parcels([]) == []


@given(st.lists(st.tuples(st.sampled_from(["training", "validation"]), st.integers(1, 900))))
def test_none_is_left_out_and_none_together_is_too_large(drawn: list[tuple[str, int]]) -> None:
    items = [numbers(step, group, names) for step, (group, names) in enumerate(drawn)]
    found = parcels(items)
    assert [item for some in found for item in some] == items
    for some in found:
        size = sum(len(item.model_dump_json()) for item in some)
        assert len(some) == 1 or size <= TOGETHER
