"""Errors as problem+json, without NATS or Redis."""

import io
import tarfile
import zipfile

import httpx
import pytest
from fastapi import FastAPI
from redis.exceptions import ConnectionError as RedisAway

from shoal_contract.parse import parse_experiment
from shoal_gateway.shell import bundles, problems
from shoal_gateway.shell.bundles import check
from shoal_gateway.shell.problems import ProblemError

app = FastAPI()
problems.install(app)


@app.get("/config")
async def config() -> None:
    parse_experiment({"name": "x", "entrypont": "y"})


@app.get("/redis")
async def redis() -> None:
    raise RedisAway("gone")


@app.get("/slow")
async def slow() -> None:
    raise TimeoutError


@app.get("/bug")
async def bug() -> None:
    raise KeyError("x")


@app.get("/number/{n}")
async def number(n: int) -> int:
    return n


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/config", 422),
        ("/redis", 503),
        ("/slow", 503),
        ("/bug", 500),
        ("/number/x", 422),
        ("/nothing", 404),
    ],
)
async def test_the_shape_of_a_problem(path: str, status: int) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        response = await http.get(path)
    body = response.json()
    assert response.status_code == body["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail"} <= set(body)
    if path == "/config":
        wrong = next(e for e in body["errors"] if e["path"] == "entrypont")
        assert wrong["suggestion"] == "entrypoint"


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
