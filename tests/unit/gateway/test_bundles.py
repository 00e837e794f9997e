"""Bundles: what is taken, and what could do harm."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile

import pytest

from shoal_gateway.shell import bundles
from shoal_gateway.shell.bundles import check
from shoal_gateway.shell.problems import ProblemError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/x", tarfile.REGTYPE),
        ("../x", tarfile.REGTYPE),
        ("a/../x", tarfile.REGTYPE),
        ("link", tarfile.SYMTYPE),
        ("hard", tarfile.LNKTYPE),
        ("device", tarfile.CHRTYPE),
        ("pipe", tarfile.FIFOTYPE),
    ],
)
def test_a_bundle_that_could_do_harm_is_refused(name: str, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "x"
        tar.addfile(member)
    out.seek(0)
    with pytest.raises(ProblemError, match="refused"):
        check(out)


@pytest.mark.parametrize(
    ("mode", "kind"), [("w:gz", "tar.gz"), ("w:", "tar"), ("zip", "zip"), ("empty", "zip")]
)
def test_a_bundle_is_known_by_its_content(mode: str, kind: str) -> None:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as packed:
            if mode == "zip":
                packed.writestr("a/b.py", "x = 1")
    else:
        with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
            tar.addfile(tarfile.TarInfo("a/b.py"))
    assert check(out) == kind


@pytest.mark.parametrize(
    ("name", "mode", "flags"),
    [
        ("/x", 0o100644, 0),
        ("../x", 0o100644, 0),
        ("a/../x", 0, 0),
        ("a\\b", 0, 0),
        ("link", 0o120777, 0),
        ("device", 0o020644, 0),
        ("locked", 0o100644, 1),
    ],
)
def test_a_zip_that_could_do_harm_is_refused(name: str, mode: int, flags: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        packed.writestr(member, "target")
        member.flag_bits |= flags
    with pytest.raises(ProblemError, match="refused"):
        check(out)


def test_a_zip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("a", "b", "c"):
            packed.writestr(name, bytes(1000))
    monkeypatch.setattr(bundles, "MAX_UNPACKED", 2999)
    with pytest.raises(ProblemError, match="too much"):
        check(out)
    monkeypatch.setattr(bundles, "MAX_UNPACKED", 3000)
    assert check(out) == "zip"
    monkeypatch.setattr(bundles, "MAX_MEMBERS", 2)
    with pytest.raises(ProblemError, match="too much"):
        check(out)


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    """One header of a tar, as it is written."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def pax(size: int) -> bytes:
    """A pax record of so many bytes."""
    return f"{size} comment=".encode().ljust(size - 1, b"x") + b"\n"


def blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


LONG = 32 * 2**20


def sparse(size: int) -> bytes:
    """A sparse file whose map has so many bytes."""
    first = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    first[482] = 1  # it goes on in the next block
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    return bytes(first) + (bytes(504) + b"\1" + bytes(7)) * (size // 512)


def globals_of(count: int) -> bytes:
    """Members, each with a pax record that is for all that follow."""
    records = (f"512 k{n}=".encode().ljust(511, b"x") + b"\n" for n in range(count))
    return b"".join(
        header(tarfile.XGLTYPE, 512) + record + header(tarfile.REGTYPE, 0) for record in records
    )


@pytest.mark.parametrize(
    "bomb",
    [
        header(tarfile.GNUTYPE_LONGNAME, LONG) + bytes(LONG),
        header(tarfile.GNUTYPE_LONGLINK, LONG) + bytes(LONG),
        header(tarfile.XHDTYPE, LONG) + blocks(pax(LONG)),
        header(tarfile.XGLTYPE, LONG) + blocks(pax(LONG)),
        globals_of(300),
        (header(tarfile.XHDTYPE, 512) + pax(512)) * 300,
        sparse(LONG),
    ],
    ids=["name", "link", "pax", "global", "globals", "nested", "sparse"],
)  # fmt: skip
@pytest.mark.parametrize("packed", [True, False])
def test_headers_that_would_fill_the_memory_are_refused(bomb: bytes, packed: bool) -> None:
    file = io.BytesIO(gzip.compress(bomb, 1) if packed else bomb)
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError, match="describes"):
            check(file)
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()


def test_a_map_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ProblemError, match="cannot be read as a tar"):
        check(io.BytesIO(sparse(1024)))


def test_long_names_and_records_are_taken() -> None:
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=format) as tar:
            for n in range(100):
                member = tarfile.TarInfo("/".join(["d" * 200] * 8) + f"/{n}")
                member.size = 1000
                tar.addfile(member, io.BytesIO(bytes(1000)))
        assert check(out) == "tar.gz"


def test_a_tar_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in ("a", "b", "c"):
            member = tarfile.TarInfo(name)
            member.size = 1000
            tar.addfile(member, io.BytesIO(bytes(1000)))
    monkeypatch.setattr(bundles, "MAX_UNPACKED", 2999)
    with pytest.raises(ProblemError, match="too much"):
        check(out)


def test_a_broken_zip_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("x", bytes(1000))
    with pytest.raises(ProblemError, match="cannot be read as a zip"):
        check(io.BytesIO(out.getvalue()[:-30]))


def test_a_broken_bundle_is_refused() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("x")
        member.size = 100_000
        tar.addfile(member, io.BytesIO(bytes(i * 7 % 251 for i in range(100_000))))
    with pytest.raises(ProblemError, match="refused"):
        check(io.BytesIO(out.getvalue()[:-200]))
