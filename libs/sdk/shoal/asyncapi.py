"""The platform's events as an AsyncAPI 3.0 document, made from the contract. Pure.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from typing import Any

import yaml
from pydantic.json_schema import models_json_schema

from shoal_contract.events import REGISTER, Event
from shoal_contract.subjects import PREFIX, stream_of

Node = dict[str, Any]


def types() -> list[str]:
    """The types of all events that others than their writer may read."""
    return sorted(name for name in REGISTER if not stream_of(name).private)


def schema(event_type: str) -> Node:
    """The JSON Schema of one event's data. Raises LookupError for a type that is not known."""
    cls = REGISTER.get(event_type.removeprefix(PREFIX + "."))
    if cls is None or stream_of(cls.type).private:
        raise LookupError(f"there is no event type {event_type!r}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **cls.model_json_schema()}


def schemas() -> dict[str, Node]:
    """The JSON Schema of every event's data, by type."""
    return {event_type: schema(event_type) for event_type in types()}


def document() -> Node:
    """The document: a channel and a message for each type, an operation where one is written."""
    public = types()
    _, definitions = models_json_schema(
        [(REGISTER[t], "validation") for t in public],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Shoal",
            "version": "1.0.0",
            "description": "Every event of Shoal. Services share nothing else.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "127.0.0.1:4222",
                "protocol": "nats",
                "description": "NATS with JetStream; the server of the platform at hand.",
            }
        },
        "channels": {t: _channel(REGISTER[t]) for t in public},
        "operations": {f"send.{t}": _operation(t) for t in public},
        "components": {
            "messages": {t: _message(REGISTER[t]) for t in public},
            "schemas": dict(sorted(definitions["$defs"].items())),
            "messageTraits": {"cloudEvent": {"headers": _headers()}},
        },
    }


def text() -> str:
    """The document as YAML, always the same for the same contract."""
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=100)


def _channel(cls: type[Event]) -> Node:
    stream = stream_of(cls.type)
    storage = {"synced": "synced to disk", "async": "written soon after", "memory": "memory only"}
    return {
        "address": ".".join((PREFIX, cls.type, *(f"{{{name}}}" for name in cls.key))),
        "description": f"In the stream {stream.name} ({storage[stream.storage]}).",
        "parameters": {name: {"description": "An identifier."} for name in cls.key},
        "messages": {"event": {"$ref": f"#/components/messages/{cls.type}"}},
    }


def _operation(event_type: str) -> Node:
    writer = stream_of(event_type).writer
    return {
        "action": "send",
        "summary": f"Written by: {writer}.",
        "tags": [{"name": writer}],
        "channel": {"$ref": f"#/channels/{event_type}"},
        "messages": [{"$ref": f"#/channels/{event_type}/messages/event"}],
    }


def _message(cls: type[Event]) -> Node:
    summary = " ".join((cls.__doc__ or "").split())
    return {
        "name": f"{PREFIX}.{cls.type}",
        "title": cls.__name__,
        "summary": summary,
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{cls.__name__}"},
    }


def _headers() -> Node:
    string = {"type": "string"}
    return {
        "type": "object",
        "description": "CloudEvents 1.0, binary mode.",
        "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"],
        "properties": {
            "ce-specversion": {"type": "string", "const": "1.0"},
            "ce-id": string | {"description": "Unique; also the Nats-Msg-Id."},
            "ce-source": string | {"description": "`/shoal/<service>/<replica>`."},
            "ce-type": string | {"description": f"`{PREFIX}.<noun>.<verb>`."},
            "ce-time": {"type": "string", "format": "date-time"},
            "ce-causationid": string | {"description": "Id of the message that caused this one."},
            "ce-traceparent": string | {"description": "W3C trace context."},
        },
    }
