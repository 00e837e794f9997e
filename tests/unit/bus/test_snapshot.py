"""The shape of a state tells versions apart."""

from dataclasses import dataclass, make_dataclass

from shoal_bus.snapshot import shape_of


@dataclass
class Part:
    size: int


def test_a_field_anywhere_in_it_makes_another_shape():
    one = make_dataclass("State", [("parts", dict[str, Part])])
    same = make_dataclass("State", [("parts", dict[str, Part])])
    part = make_dataclass("Part", [("size", int), ("colour", str)])
    other = make_dataclass("State", [("parts", dict[str, part])])
    assert shape_of(one) == shape_of(same)
    assert shape_of(one) != shape_of(other)


def test_what_pydantic_does_not_know_goes_by_its_name():
    class Odd:
        pass

    assert shape_of(Odd).endswith("Odd")
    assert len(shape_of(Part)) == 16
