"""A run's folder, from each kind of bundle."""

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from shoal_contract.events import Bundle
from shoal_worker.shell.staging import StagingError, stage

FILES = {"train.py": (b"print(1)", 0o644), "bin/go": (b"#!/bin/sh", 0o755)}


def packed(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("bin")
            for name, (content, mode) in FILES.items():
                member = zipfile.ZipInfo(name)
                member.external_attr = mode << 16
                archive.writestr(member, content)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz" if kind == "tar.gz" else "w") as tar:
        for name, (content, mode) in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def kept(folder: Path, data: bytes, kind: str) -> Bundle:
    """A bundle in storage."""
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"{digest}.{kind}"
    path.write_bytes(data)
    return Bundle(url=f"file://{path}", sha256=digest, size=len(data))


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
def test_a_run_gets_a_copy_of_the_bundle(kind: str, tmp_path: Path) -> None:
    bundle = kept(tmp_path, packed(kind), kind)
    first = stage(tmp_path / "state", "r1", bundle)
    (first / "train.py").write_text("changed")
    second = stage(tmp_path / "state", "r2", bundle)
    for name, (content, mode) in FILES.items():
        assert (second / name).read_bytes() == content
        assert os.access(second / name, os.X_OK) == bool(mode & 0o100)
    fetched = list((tmp_path / "state" / "bundles").iterdir())
    assert [path.name for path in fetched] == [bundle.sha256]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_nothing_is_unpacked_outside_the_folder(kind: str, tmp_path: Path) -> None:
    """Though the gateway refuses such bundles."""
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("../../../out", "x")
    else:
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("../../../out"))
    bundle = kept(tmp_path, out.getvalue(), kind)
    state = tmp_path / "a" / "b" / "state"
    if kind == "tar":
        with pytest.raises(StagingError, match="r1 could not be made"):
            stage(state, "r1", bundle)
    else:
        assert (stage(state, "r1", bundle) / "out").exists()
    assert not [path for path in tmp_path.rglob("out") if state not in path.parents]


def test_other_content_than_was_stored_is_refused(tmp_path: Path) -> None:
    bundle = kept(tmp_path, packed("zip"), "zip")
    Path(bundle.url.removeprefix("file://")).write_bytes(packed("tar"))
    with pytest.raises(StagingError, match="has the checksum"):
        stage(tmp_path / "state", "r1", bundle)
