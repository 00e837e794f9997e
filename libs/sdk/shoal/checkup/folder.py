"""An experiment file: the folder around it, and the storage that it names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fsspec

from shoal import bundle
from shoal.checkup.finding import Finding, fail, ok, warn
from shoal.words import counted
from shoal_contract.storage import unusable

LARGE = 20 * 2**20
"""Bytes of a bundle above which each submission takes noticeably long."""


def code(folder: Path) -> Iterator[Finding]:
    """Whether the folder's files fit into a bundle."""
    if not (folder / bundle.IGNORE_FILE).exists():
        text = (
            f"there is none in {folder}: everything is sent but {', '.join(bundle.ALWAYS_SKIPPED)}"
        )
        yield ok(bundle.IGNORE_FILE, text)
    sizes = {path: path.stat().st_size for path in bundle.files(folder)}
    total = sum(sizes.values())
    words = f"{counted(len(sizes), 'file')}, {total / 2**20:.1f} MiB before they are packed"
    todo = f"name in {bundle.IGNORE_FILE} what is no code, such as {bundle.largest(folder, sizes)}"
    if total <= LARGE:
        yield ok("Code", words)
        return
    try:
        packed = len(bundle.make(folder))
    except OSError as error:
        yield fail("Code", str(error).partition(";")[0], todo)
        return
    yield warn("Code", f"{words}, {packed / 2**20:.1f} MiB packed", todo)


def storage(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether this machine could read the checkpoints where a file wants them."""
    url = config["checkpoint_storage"]["url"]
    if url is None:
        return
    why = unusable(url, fsspec.get_filesystem_class, "shoal-sdk")
    if why is None:
        yield ok("Storage", f"{url} is of a kind that is known here")
        return
    todo = "without it `shoal checkpoint download` fails here; the platform looks for itself"
    yield warn("Storage", why, todo)
