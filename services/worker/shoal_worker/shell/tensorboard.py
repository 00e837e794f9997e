"""TensorBoard's event files, as far as scalars go, without TensorBoard.

A file is a row of records: length (8 bytes), its checksum, an `Event` message, its checksum; the
checksums are masked CRC-32C. Messages are encoded by hand:
https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
"""

import math
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import google_crc32c

_MASK = 0xA282EAD8


class EventFile:
    """Appends scalars to one file. A run that goes on from `step` declares what an earlier file
    of the same folder has beyond it void, as TensorBoard understands it."""

    def __init__(self, folder: Path, name: str, step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self.path = folder / f"events.out.tfevents.{int(now)}.{name}"
        self._file = self.path.open("ab")
        self._write(now, 0, _text(3, "brain.Event:2"))
        if step:
            self._write(now, step + 1, _field(7, b"\x08\x01"))  # SessionLog with status START

    def add(self, step: int, scalars: Mapping[str, float], at: float) -> None:
        """Write the values of one step; `at` in Unix seconds."""
        values = b"".join(
            _field(1, _text(1, tag) + b"\x15" + _float32(value)) for tag, value in scalars.items()
        )
        self._write(at, step, _field(5, values))

    def flush(self) -> None:
        """Let readers see it."""
        self._file.flush()

    def close(self) -> None:
        """It is complete."""
        self._file.close()

    def _write(self, at: float, step: int, what: bytes) -> None:
        event = b"\x09" + struct.pack("<d", at) + b"\x10" + _varint(step) + what
        length = struct.pack("<Q", len(event))
        self._file.write(length + checksum(length) + event + checksum(event))


def _float32(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, value))


def checksum(data: bytes) -> bytes:
    """The masked CRC-32C of `data`, 4 bytes."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF)


def _varint(number: int) -> bytes:
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())
