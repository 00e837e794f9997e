"""The same files give the same bundle."""

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from shoal import bundle


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def fill(folder: Path, order: list[str]) -> Path:
    for name in order:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    files = ["train.py", "lib/a.py", "lib/b.py"]
    one = fill(tmp_path / "one", files)
    two = fill(tmp_path / "two", files[::-1])
    os.utime(two / "train.py", (1, 1))
    assert bundle.make(one) == bundle.make(two)
    assert names(bundle.make(one)) == sorted(files)
    (two / "train.py").write_text("other")
    assert bundle.make(one) != bundle.make(two)


def test_what_is_left_out(tmp_path: Path) -> None:
    fill(
        tmp_path,
        ["a.py", ".git/x", ".venv/x", "p/__pycache__/x", "data/big.npy", "p/x.log", "keep.log"],
    )
    (tmp_path / ".shoalignore").write_text("# not code\n*.log\n!keep.log\ndata/\n")
    assert names(bundle.make(tmp_path)) == [".shoalignore", "a.py", "keep.log"]


def test_a_link_to_a_file_becomes_the_file(tmp_path: Path) -> None:
    fill(tmp_path, ["a.py"])
    (tmp_path / "b.py").symlink_to("a.py")
    (tmp_path / "gone").symlink_to("nowhere")
    with tarfile.open(fileobj=io.BytesIO(bundle.make(tmp_path))) as tar:
        assert [(m.name, m.isfile()) for m in tar] == [("a.py", True), ("b.py", True)]


def test_what_is_too_big_is_not_read(tmp_path: Path) -> None:
    fill(tmp_path, ["a.py", "data/small.bin"])
    with (tmp_path / "data/big.bin").open("wb") as file:
        file.truncate(bundle.MAX_UNPACKED)
    began = time.monotonic()
    with pytest.raises(OSError, match="too big") as error:
        bundle.make(tmp_path)
    assert time.monotonic() - began < 5
    named = "name what is not code in .shoalignore, such as data/big.bin (2048.0 MiB)"
    assert str(error.value).endswith(named)
    (tmp_path / ".shoalignore").write_text("big.bin\n")
    assert names(bundle.make(tmp_path)) == [".shoalignore", "a.py", "data/small.bin"]


def test_packing_ends_where_the_bundle_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAX_SIZE", 2**20)
    fill(tmp_path, ["a.py"])
    (tmp_path / "noise").write_bytes(os.urandom(2**21))
    (tmp_path / "zeros").write_bytes(bytes(2**23))
    with pytest.raises(OSError, match=r"more than 1\.0 MiB packed.*zeros \(8\.0 MiB\), noise"):
        bundle.make(tmp_path)
    (tmp_path / "noise").unlink()
    assert len(bundle.make(tmp_path)) < 2**20


@pytest.mark.parametrize(
    ("path", "folder", "patterns", "out"),
    [
        ("a/b.log", False, ["*.log"], True),
        ("a/b.log", False, ["b/*.log"], False),
        ("a/b.log", False, ["a/*.log"], True),
        ("a/b.log", False, ["/b.log"], False),
        ("data", True, ["data/"], True),
        ("data", False, ["data/"], False),
        ("x.log", False, ["*.log", "!x.log"], False),
    ],
)
def test_patterns(path: str, folder: bool, patterns: list[str], out: bool) -> None:
    assert bundle.ignored(path, folder, patterns) is out
