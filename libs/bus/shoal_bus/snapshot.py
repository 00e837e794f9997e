"""Snapshots: a state as of a sequence of its journal, so that a replay is short.

A state may be larger than one NATS message: it is compressed and cut into parts. Parts of two
generations alternate, and the header is written last, so a torn write leaves the older snapshot.
A snapshot says the shape of its state: one that another version wrote is not used.
"""

import hashlib
import json
import logging
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from shoal_bus.bus import SNAPSHOTS, Bus

log = logging.getLogger(__name__)

REMEMBERED = 20_000
"""Causes that are remembered: more than can be unacknowledged at a time."""
PART = 512 * 1024
"""Bytes in one part."""


class Causes:
    """The ids of the last messages that something was decided on."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = dict.fromkeys(ids)

    def __contains__(self, id: str) -> bool:
        return id in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def add(self, id: str) -> None:
        """Remember an id; the oldest is forgotten."""
        self._ids[id] = None
        if len(self._ids) > REMEMBERED:
            del self._ids[next(iter(self._ids))]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state as of the journal's `journal_seq`."""

    journal_seq: int
    state: bytes
    causes: Causes
    shape: str
    """Of the state; see `shape_of`."""


_SHAPES: dict[type, str] = {}


def shape_of(state: type) -> str:
    """A short name for what a type of state is made of: another one after any change to its fields
    or theirs."""
    if state not in _SHAPES:
        _SHAPES[state] = _shape(state)
    return _SHAPES[state]


def _shape(state: type) -> str:
    try:
        schema = TypeAdapter(state).json_schema()
    except PydanticUserError:  # pydantic does not know what it is made of
        return f"{state.__module__}.{state.__qualname__}"
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()[:16]


class _Header(BaseModel):
    generation: int
    parts: int
    checksum: int


class _Content(BaseModel):
    journal_seq: int
    state: str
    causes: list[str]
    shape: str = ""


async def save_snapshot(bus: Bus, name: str, snapshot: Snapshot) -> None:
    """Keep a state. That it cannot be kept is logged, and costs a longer replay, nothing else."""
    content = {
        "journal_seq": snapshot.journal_seq,
        "state": snapshot.state.decode(),
        "causes": list(snapshot.causes),
        "shape": snapshot.shape,
    }
    packed = zlib.compress(json.dumps(content).encode(), 1)
    parts = [packed[at : at + PART] for at in range(0, len(packed), PART)]
    try:
        bucket = await bus.bucket(SNAPSHOTS)
        old = await _header(bucket, name)
        generation = 1 - old.generation if old is not None else 0
        for number, part in enumerate(parts):
            await bucket.put(_part(name, generation, number), part)
        header = _Header(generation=generation, parts=len(parts), checksum=zlib.crc32(packed))
        await bucket.put(name, header.model_dump_json().encode())
    except (NatsError, OSError) as error:
        log.warning("the snapshot of %s could not be kept (%r)", name, error)


async def load_snapshot(bus: Bus, name: str, shape: str) -> Snapshot | None:
    """The newest snapshot, or None if there is none of a state of this shape that can be read.

    Raises nats.errors.Error or OSError while the server is away.
    """
    bucket = await bus.bucket(SNAPSHOTS)
    header = await _header(bucket, name)
    if header is None:
        return None
    try:
        packed = b""
        for number in range(header.parts):
            packed += (await bucket.get(_part(name, header.generation, number))).value or b""
        if zlib.crc32(packed) != header.checksum:
            raise ValueError("its checksum is wrong")
        content = _Content.model_validate_json(zlib.decompress(packed))
    except (KeyNotFoundError, ValueError, zlib.error) as error:
        log.warning("the snapshot of %s cannot be read (%r); replaying all", name, error)
        return None
    if content.shape != shape:
        log.warning("the snapshot of %s is of another version's state; replaying all", name)
        return None
    return Snapshot(content.journal_seq, content.state.encode(), Causes(content.causes), shape)


async def _header(bucket: KeyValue, name: str) -> _Header | None:
    try:
        return _Header.model_validate_json((await bucket.get(name)).value or b"")
    except KeyNotFoundError:
        return None
    except ValidationError as error:
        log.warning("the snapshot of %s has no header (%r); replaying all", name, error)
        return None


def _part(name: str, generation: int, number: int) -> str:
    return f"{name}.{generation}.{number}"
