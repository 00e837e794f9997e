"""What may be sent: so many bytes, and JSON that is not nested too deeply."""

import re

from starlette.types import Message, Receive, Scope

from shoal_gateway.shell.problems import ProblemError

UNBOUNDED = re.compile(r"/v1/bundles|/mlflow/api/2\.0/mlflow-artifacts/artifacts/.*", re.DOTALL)
"""Routes that read their body piece by piece, within a limit of their own."""
MAX_DEPTH = 100
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_OTHERS = bytes(set(range(256)) - set(b'"[]{}'))
_BRACKET = re.compile(rb"[\[\]{}]")


async def checked(scope: Scope, receive: Receive, most: int) -> Receive:
    """A `receive` whose body was read and found good. Raises ProblemError (413, 422)."""
    if UNBOUNDED.fullmatch(scope["path"]):
        return receive
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if not declared.isdigit() or int(declared) > most:
        raise too_big(most)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise too_big(most)
        if not message.get("more_body", False):
            message = {"type": "http.request", "body": b"".join(parts), "more_body": False}
            break
    if depth(message.get("body", b"")) > MAX_DEPTH:
        detail = f"The body is nested more than {MAX_DEPTH} deep."
        raise ProblemError(422, detail, kind="urn:shoal:problem:body")
    pending = [message]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def depth(body: bytes) -> int:
    """How deep brackets are nested, those in strings aside; at most a little more than
    `MAX_DEPTH`, after which nobody counts. It reads no JSON: what is none is refused later."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    now = most = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", _shortened(body))):
        now += 1 if bracket in b"[{" else -1
        most = max(most, now)
        if most > MAX_DEPTH:
            break
    return most


def _shortened(body: bytes) -> bytes:
    """A text with brackets as deep, which is much shorter where many are side by side."""
    if b"\\" in body:  # a quote may be none
        return body
    # Whether a bracket is in a string depends on whether an even number of quotes is before it.
    found = body.translate(None, _OTHERS).replace(b'""', b"")
    for pair in (b"{}", b"[]"):
        while 2 * pair in found:
            found = found.replace(2 * pair, pair)
    return found


def too_big(most: int) -> ProblemError:
    """The problem of a body of more than so many bytes."""
    detail = f"The body may have {most / 2**20:g} MiB."
    return ProblemError(413, detail, kind="urn:shoal:problem:body")
