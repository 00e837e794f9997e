"""`ETag` and `If-Match` (RFC 9110, 13.1.1): who changes something may say which state of it is
meant, and is told if someone else was faster."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Header, Response

from shoal_gateway.core.rows import Row
from shoal_gateway.shell.problems import ProblemError

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[\s,]*{_TAG}(?:\s*,[\s,]*{_TAG})*[\s,]*")
_WEAK_AND_TAG = re.compile(r'(W/)?"([^"]*)"')
Check = Callable[[], None]


class IfMatch:
    """The states that a request may change: those with one of some tags, or any."""

    def __init__(self, header: str | None) -> None:
        self.given = header is not None
        text = (header or "").strip()
        self._any = text == "*"
        found = _WEAK_AND_TAG.findall(text) if _LIST.fullmatch(text) else []
        self._tags = [tag for weak, tag in found if not weak]  # weak ones are like no other

    def check(self, tag: str | None) -> None:
        """Raise ProblemError (412) unless a state with this tag is meant; None: there is none."""
        if self.given and not (tag in self._tags or (self._any and tag is not None)):
            raise changed()

    def on(self, current: Callable[[], Row | None]) -> Check:
        """A check of what there is when it is called, by its row."""
        return lambda: self.check(None if (row := current()) is None else tag_of(row))


ANY = IfMatch(None)
"""The condition of who means any state, or none."""


def changed() -> ProblemError:
    """The problem of who was slower than someone else."""
    detail = "Someone else has changed it since. Read it again, and decide anew."
    return ProblemError(412, detail, kind="urn:shoal:problem:changed")


def if_match(if_match: Annotated[str | None, Header()] = None) -> IfMatch:
    """The condition that a request comes with, as a dependency of its route."""
    return IfMatch(if_match)


def tag_of(row: Row) -> str:
    """The tag of a state of something that is known by its row alone."""
    text = json.dumps(row, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tagged(response: Response, row: Row, tag: object = None) -> Row:
    """An answer with a row, whose tag a response tells, too; None: the row's own."""
    response.headers["ETag"] = f'"{tag_of(row) if tag is None else tag}"'
    return row
