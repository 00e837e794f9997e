"""What someone who relies on an OpenAPI document misses in a later one.

What may be sent must stay allowed, and what is answered must stay as it was told: fields, their
types and their values may be added to, not taken away. New values of an enumeration in an answer
are additions.
"""

from collections.abc import Iterator, Sequence
from typing import Any

Node = dict[str, Any]
TOP = ("maxLength", "maximum", "exclusiveMaximum", "maxItems")
BOTTOM = ("minLength", "minimum", "exclusiveMinimum", "minItems")
ANY = "anything"


def gone(old: Node, new: Node) -> list[str]:
    """What is missed, each in a few words."""
    return list(_Comparison(old, new).paths())


class _Comparison:
    def __init__(self, old: Node, new: Node) -> None:
        self._old, self._new = old, new
        self._open: set[tuple[int, int, bool]] = set()
        """Pairs of fields that are being compared: schemas may hold themselves."""

    def paths(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            if path not in self._new["paths"]:
                yield path
                continue
            for method, before in methods.items():
                now = self._new["paths"][path].get(method)
                if now is None:
                    yield f"{method} {path}"
                else:
                    found = self._operation(before, now)
                    yield from (f"{method} {path}: {what}" for what in found)

    def _operation(self, before: Node, now: Node) -> Iterator[str]:
        had, has = _parameters(before), _parameters(now)
        for name, parameter in has.items():
            if parameter.get("required") and not had.get(name, {}).get("required"):
                yield f"the parameter {name} is required"
        for name, parameter in had.items():
            if name not in has:
                yield f"the parameter {name}"
            else:
                where = f"the parameter {name}"
                pair = parameter.get("schema", {}), has[name].get("schema", {})
                yield from self._schema(where, *pair, given=False)
        body, body_now = before.get("requestBody"), now.get("requestBody")
        if body_now and body_now.get("required") and not (body and body.get("required")):
            yield "the body is required"
        if body is not None:
            yield from self._content("the body", body, body_now or {}, given=False)
        for status, answer in before["responses"].items():
            if status not in now["responses"]:
                yield f"the answer {status}"
            else:
                yield from self._answer(f"the answer {status}", answer, now["responses"][status])

    def _answer(self, where: str, before: Node, now: Node) -> Iterator[str]:
        before, now = _resolved(before, self._old), _resolved(now, self._new)
        headers = now.get("headers", {})
        yield from (
            f"{where}: the header {h}" for h in before.get("headers", {}) if h not in headers
        )
        yield from self._content(where, before, now, given=True)

    def _content(self, where: str, before: Node, now: Node, *, given: bool) -> Iterator[str]:
        for media, kind in before.get("content", {}).items():
            if media not in now.get("content", {}):
                yield f"{where}: {media}"
                continue
            pair = kind.get("schema", {}), now["content"][media].get("schema", {})
            yield from self._schema(where, *pair, given=given)

    def _schema(self, where: str, before: Node, now: Node, *, given: bool) -> Iterator[str]:
        """`given`: of an answer, which may not become wider; else of what is sent, which may not
        become narrower."""
        olds = list(_alternatives(before, self._old))
        news = list(_alternatives(now, self._new))
        for one in news if given else olds:
            pairs = [(old, one) for old in olds] if given else [(one, new) for new in news]
            found = [
                list(self._pair(where, old, new, given=given))
                for old, new in pairs
                if (_covers(old, new) if given else _covers(new, old))
            ]
            if found:
                yield from min(found, key=len)
            else:
                yield f"{where} may {'be' if given else 'no longer be'} {_kind(one)}"

    def _pair(self, where: str, old: Node, new: Node, *, given: bool) -> Iterator[str]:
        yield from _values(where, old, new, given=given)
        if not given:
            yield from _bounds(where, old, new)
        yield from self._fields(where, old, new, given=given)
        for name, what in (("items", "[]"), ("additionalProperties", ".*")):
            had, has = old.get(name, True), new.get(name, True)
            if has is False and had is not False and not given:
                yield f"{where}: other fields"
            elif not (had is has or (isinstance(had, bool) and isinstance(has, bool))):
                schemas = ({} if isinstance(one, bool) else one for one in (had, has))
                yield from self._schema(f"{where} {what}", *schemas, given=given)

    def _fields(self, where: str, old: Node, new: Node, *, given: bool) -> Iterator[str]:
        had, has = old.get("properties", {}), new.get("properties", {})
        key = (id(had), id(has), given)
        if key in self._open:
            return
        self._open.add(key)
        needed, needs = old.get("required", ()), new.get("required", ())
        if given:
            for name in needed:
                if name in has and name not in needs:
                    yield f"{where} .{name} may be missing"
        else:
            yield from (f"{where} .{name} is required" for name in needs if name not in needed)
        for name, schema in had.items():
            if name not in has:
                yield f"{where} .{name}"
            else:
                yield from self._schema(f"{where} .{name}", schema, has[name], given=given)
        self._open.remove(key)


def _parameters(operation: Node) -> dict[str, Node]:
    return {f"{p['name'].lower()} in {p['in']}": p for p in operation.get("parameters", ())}


def _resolved(node: Node, document: Node) -> Node:
    while "$ref" in node:
        found: Any = document
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        node = found
    return node


def _alternatives(schema: Node, document: Node) -> Iterator[Node]:
    """A schema as one or several that are of one type each."""
    schema = _resolved(schema, document)
    for name in ("anyOf", "oneOf"):
        if name in schema:
            for one in schema[name]:
                yield from _alternatives(one, document)
            return
    if "allOf" in schema:
        merged: Node = {"properties": {}, "required": []}
        for part in (_resolved(one, document) for one in schema["allOf"]):
            merged["properties"] |= part.get("properties", {})
            merged["required"] += part.get("required", [])
            merged = {**part, **merged}
        yield merged
        return
    kinds = schema.get("type", ANY)
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        yield {**schema, "type": kind}


def _kind(schema: Node) -> str:
    return {"array": "a list"}.get(schema["type"], str(schema["type"]))


def _covers(wide: Node, narrow: Node) -> bool:
    """Whether all of one type are of another."""
    pair = (narrow["type"], wide["type"])
    return pair[0] == pair[1] or pair[1] == ANY or pair == ("integer", "number")


def _values(where: str, old: Node, new: Node, *, given: bool) -> Iterator[str]:
    had, has = _enumerated(old), _enumerated(new)
    if had is not None and has is not None:
        yield from (f"{where} is no longer {value!r}" for value in had if value not in has)
    elif had is not None and given:
        yield f"{where} is no longer one of {had}"
    elif has is not None and not given:
        yield f"{where} is only one of {has}"


def _enumerated(schema: Node) -> Sequence[Any] | None:
    found: Sequence[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    return found


def _bounds(where: str, old: Node, new: Node) -> Iterator[str]:
    for name in (*TOP, *BOTTOM):
        if name in new:
            had, has = old.get(name), new[name]
            if had is None or (has < had if name in TOP else has > had):
                yield f"{where}: {name} is {has}"
    for name in ("pattern", "format"):
        if name in new and new[name] != old.get(name):
            yield f"{where}: {name} is {new[name]}"
