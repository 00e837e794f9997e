"""Event files as TensorBoard reads them: here by hand, and by TensorBoard where it is installed."""

import math
import struct
from pathlib import Path

import pytest

from shoal_worker.shell.tensorboard import EventFile, checksum


def written(folder: Path) -> None:
    first = EventFile(folder, "one")
    for step in (1, 2, 3):
        first.add(step, {"training/loss": 1 / step, "big": 1e300}, 1000.0 + step)
    first.close()
    second = EventFile(folder, "two", step=2)  # goes on from step 2: the third is void
    second.add(3, {"training/loss": 9.0}, 2000.0)
    second.close()


def test_records_are_framed_and_hold_the_values(tmp_path: Path) -> None:
    written(tmp_path)
    data = next(tmp_path.glob("*.one")).read_bytes()
    records = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        records.append(data[12 : 12 + length])
        data = data[16 + length :]
    assert b"brain.Event:2" in records[0]
    assert len(records) == 4
    assert struct.pack("<f", 0.5) in records[2]
    assert struct.pack("<f", math.inf) in records[2]


def test_checksums_are_those_of_the_standard() -> None:
    """32 zeros of https://datatracker.ietf.org/doc/html/rfc3720#appendix-B.4, masked: turned by 15
    bits, and a constant added."""
    (masked,) = struct.unpack("<I", checksum(bytes(32)))
    turned = (masked - 0xA282EAD8) & 0xFFFFFFFF
    assert (turned << 15 | turned >> 17) & 0xFFFFFFFF == 0x8A9136AA


def test_tensorboard_reads_them(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    written(tmp_path)
    found = accumulator.EventAccumulator(str(tmp_path))
    found.Reload()
    values = [(e.step, round(e.value, 3)) for e in found.Scalars("training/loss")]
    assert values == [(1, 1.0), (2, 0.5), (3, 9.0)]
