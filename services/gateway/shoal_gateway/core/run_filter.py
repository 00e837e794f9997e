"""MLflow's search language for runs, as far as it is spoken here: comparisons joined by AND.

https://mlflow.org/docs/latest/ml/search/search-runs/
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Run = Mapping[str, Mapping[str, Any]]
"""`metrics`, `params`, `tags` and `attributes` of a run, by name."""

_KINDS = {
    "metric": "metrics", "metrics": "metrics", "param": "params", "params": "params",
    "parameter": "params", "parameters": "params", "tag": "tags", "tags": "tags",
    "attr": "attributes", "attribute": "attributes", "attributes": "attributes",
    "run": "attributes",
}  # fmt: skip
_CLAUSE = re.compile(
    r"""\s*(?:(?P<kind>[A-Za-z]+)\s*\.\s*)?
    (?:`(?P<ticks>[^`]+)`|"(?P<quotes>[^"]+)"|(?P<bare>[\w./-]+))
    \s*(?P<op><=|>=|!=|=|<|>|\bNOT\s+LIKE\b|\bLIKE\b|\bILIKE\b|\bNOT\s+IN\b|\bIN\b)\s*
    (?P<value>'[^']*'|"[^"]*"|\([^)]*\)|[-+.\w]+)\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_WILD = re.compile(r"(\\[%_\\]|[%_])")
_AND = re.compile(r"AND\b", re.IGNORECASE)


class FilterError(ValueError):
    """Text that is no filter; it says where and what is possible."""


def parse(text: str) -> Callable[[Run], bool]:
    """Whether a run is wanted. Raises FilterError."""
    clauses: list[Callable[[Run], bool]] = []
    at = 0
    while at < len(text.rstrip()):
        if clauses:
            joint = _AND.match(text, at)
            if joint is None:
                raise FilterError(f"AND is expected at {text[at:]!r}")
            at = joint.end()
        found = _CLAUSE.match(text, at)
        if found is None:
            raise FilterError(
                f"{text[at:]!r} is no comparison such as metrics.loss < 0.5 or tags.team = 'a'"
            )
        clauses.append(_clause(found))
        at = found.end()
    return lambda run: all(clause(run) for clause in clauses)


def order(texts: list[str]) -> Callable[[list[dict[str, Any]], Callable[[Any], Run]], None]:
    """Sorts runs in place by `metrics.loss ASC` and the like; what is no number comes after
    numbers, and those without a value last.

    Raises FilterError.
    """
    keys = [_order(text) for text in texts]

    def sort(runs: list[dict[str, Any]], look: Callable[[Any], Run]) -> None:
        for kind, name, down in reversed(keys):

            def key(run: dict[str, Any], kind: str = kind, name: str = name) -> tuple[bool, Any]:
                value = look(run)[kind][name]
                return isinstance(value, str), value

            there = [r for r in runs if look(r)[kind].get(name) is not None]
            rest = [r for r in runs if look(r)[kind].get(name) is None]
            runs[:] = sorted(there, key=key, reverse=down) + rest

    return sort


def _order(text: str) -> tuple[str, str, bool]:
    found = re.fullmatch(
        r"\s*(?:([A-Za-z]+)\s*\.\s*)?[`\"]?(.+?)[`\"]?(?:\s+(ASC|DESC))?\s*", text, re.IGNORECASE
    )
    if found is None:
        raise FilterError(f"{text!r} is no order such as metrics.loss ASC")
    return _kind(found[1]), found[2], (found[3] or "").upper() == "DESC"


def _kind(text: str | None) -> str:
    found = _KINDS.get((text or "attributes").lower())
    if found is None:
        raise FilterError(f"{text!r} is none of metrics, params, tags and attributes")
    return found


def _clause(found: re.Match[str]) -> Callable[[Run], bool]:
    kind = _kind(found["kind"])
    name = found["ticks"] or found["quotes"] or found["bare"]
    op = " ".join(found["op"].upper().split())
    value = _value(found["value"], kind, name)
    if isinstance(value, tuple) != op.endswith("IN"):
        raise FilterError(f"{op} does not go with {found['value']}")

    def holds(run: Run) -> bool:
        there = run[kind].get(name)
        if there is None:
            return False
        if op.endswith("LIKE"):
            return _like(str(there), str(value), op)
        if isinstance(value, tuple):
            return (there in value) == (op == "IN")
        try:
            return bool(_COMPARE[op](there, value))
        except TypeError:
            return False

    return holds


def _value(text: str, kind: str, name: str) -> Any:
    if text.startswith("("):
        return tuple(part.strip().strip("'\"") for part in text[1:-1].split(","))
    if text[0] in "'\"":
        return text[1:-1]
    if kind == "metrics" or (kind == "attributes" and name.endswith("_time")):
        try:
            return float(text)
        except ValueError:
            pass
    raise FilterError(f"{text!r} is to stand in quotes, or is no number where one is compared")


def _like(there: str, pattern: str, op: str) -> bool:
    if op == "ILIKE":
        there, pattern = there.lower(), pattern.lower()
    return (re.fullmatch(_regex(pattern), there, re.DOTALL) is not None) != op.startswith("NOT")


def _regex(pattern: str) -> str:
    """A pattern as a regular expression: `%` is any text, `_` any character, and a backslash before
    them, or before a backslash, takes that away. What was found once is not sought again (`(?>`),
    so that many `%` take no longer than few."""
    parts = [""]
    for piece in _WILD.split(pattern):
        if piece == "%":
            parts.append("")
        elif piece == "_":
            parts[-1] += "."
        else:
            parts[-1] += re.escape(piece[1:] if _WILD.fullmatch(piece) else piece)
    first, *others = parts
    sought = [f"(?>.*?{part})" for part in others[:-1]]
    return "".join((first, *sought, *(f".*{part}" for part in others[-1:])))


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
