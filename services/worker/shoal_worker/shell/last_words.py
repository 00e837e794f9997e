"""What a rank left behind that says why it ended."""

import json
import os
from pathlib import Path

LONGEST = 4096
"""Characters of an exception, bytes of a file's end."""
LARGEST = 1 << 20
"""Bytes of a file with an exception."""


def exception(path: Path) -> tuple[str, float] | None:
    """The exception that a file tells of as torchelastic's do, and when (Unix seconds) it left the
    script; None: there is none."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(LARGEST))["message"]["message"]
            return str(said)[:LONGEST], os.fstat(file.fileno()).st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return None


def lines(path: Path) -> list[str]:
    """The last lines of a file that are not blank, without the space around them."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LONGEST))
            found = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in found if line.strip()]
