"""`If-Match`: which states a request may change."""

import pytest

from shoal_gateway.shell.conditions import IfMatch
from shoal_gateway.shell.problems import ProblemError


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        (None, "7"),
        (None, None),
        ("*", "7"),
        (" * ", "7"),
        ('"7"', "7"),
        ('"7", "1"', "1"),
        ('"1","7" ,', "7"),
        (', "1",, W/"2", "7"', "7"),
        ('"a,b"', "a,b"),
    ],
)
def test_a_state_that_is_meant(header: str | None, tag: str | None) -> None:
    IfMatch(header).check(tag)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("*", None),
        ('"7"', None),
        ('"7"', "8"),
        ('W/"7"', "7"),  # weak tags compare as unlike
        ("7", "7"),
        ("bogus", "7"),
        ("", "7"),
        ('"7" "1"', "7"),
        ('"7', "7"),
        ('*, "7"', "7"),
        ('W/"7", "8"', "7"),
    ],
)
def test_a_state_that_is_not(header: str, tag: str | None) -> None:
    with pytest.raises(ProblemError) as error:
        IfMatch(header).check(tag)
    assert (error.value.status, error.value.kind) == (412, "urn:shoal:problem:changed")
