"""The envelope: CloudEvents 1.0 in binary mode over NATS headers.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md
The body is the event's JSON; what is about the event travels in `ce-` headers, with the W3C
trace context, and the id of the message that caused it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from shoal_contract.base import Frozen
from shoal_contract.events import REGISTER, Event
from shoal_contract.subjects import PREFIX


class BadMessageError(ValueError):
    """Bytes that are no event of the contract. The text says why; it goes to the dead letters."""


class Envelope(Frozen):
    """An event with what is known about it."""

    id: str
    source: str
    """`/shoal/<service>/<replica>`."""
    time: float
    """Unix seconds."""
    event: Event
    cause: str | None = None
    """Id of the message that caused this one."""
    traceparent: str | None = None

    def headers(self) -> dict[str, str]:
        """The NATS headers, the message id for de-duplication among them."""
        stamp = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="microseconds")
        headers = {
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-source": self.source,
            "ce-type": f"{PREFIX}.{self.event.type}",
            "ce-time": stamp.replace("+00:00", "Z"),
            "content-type": "application/json",
            "Nats-Msg-Id": self.id,
        }
        if self.cause is not None:
            headers["ce-causationid"] = self.cause
        if self.traceparent is not None:
            headers["ce-traceparent"] = self.traceparent
        return headers

    def body(self) -> bytes:
        """The event as JSON."""
        return self.event.model_dump_json().encode()


def decode(headers: Mapping[str, str] | None, body: bytes) -> Envelope:
    """Read a message. Raises BadMessageError, with the reason, for anything that is not ours."""
    found = headers or {}
    missing = [n for n in ("ce-id", "ce-source", "ce-type", "ce-time") if n not in found]
    if missing:
        raise BadMessageError(
            f"the headers {', '.join(missing)} are missing: this is no CloudEvent"
        )
    ce_type = found["ce-type"]
    cls = REGISTER.get(ce_type.removeprefix(PREFIX + "."))
    if cls is None or not ce_type.startswith(PREFIX + "."):
        raise BadMessageError(f"{ce_type!r} is no event type of {PREFIX}")
    try:
        # What people write is strict when they write it; inside an event a newer writer's field
        # is no error.
        event = cls.model_validate_json(body, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise BadMessageError(f"{ce_type}: {where}: {first['msg']}") from error
    try:
        time = datetime.fromisoformat(found["ce-time"]).timestamp()
    except ValueError as error:
        raise BadMessageError(f"ce-time {found['ce-time']!r} is no RFC 3339 time") from error
    return Envelope(
        id=found["ce-id"],
        source=found["ce-source"],
        time=time,
        event=event,
        cause=found.get("ce-causationid"),
        traceparent=found.get("ce-traceparent"),
    )
