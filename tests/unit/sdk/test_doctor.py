"""What `shoal doctor` says of what it finds."""

import json
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from shoal.asking import ShoalError
from shoal.checkup import feed, folder, machine, platform
from shoal.checkup.finding import Finding
from shoal.cli.app import app


def node(pool: str = "default", slots: int = 2, model: str = "Tesla V100", **more: Any) -> Any:
    slot = {"model": model, "memory": 16 * 10**9}
    return {"pool": pool, "state": "ready", "used": 0, "slots": [slot] * slots} | more


def states(*findings: Finding) -> list[str]:
    return [finding.state for finding in findings]


def test_python() -> None:
    assert states(machine.python((3, 10, 1)), machine.python((3, 11, 0))) == ["fail", "ok"]


def test_torch_that_sees_too_few_gpus() -> None:
    assert states(machine.torch(0), machine.torch(1024)) == ["ok", "fail"]


def test_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = machine.free_port(taken.getsockname()[1])
    assert found.state == "warn"
    assert "--port 0" in found.todo


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for free in (1e8, 5e9, 1e11):
        usage = type("Usage", (), {"free": int(free)})
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        found.append(machine.disk(tmp_path / "not" / "there"))
    assert states(*found) == ["fail", "warn", "ok"]


@pytest.mark.parametrize(
    ("resources", "served", "state"),
    [
        ({"slots_per_trial": 2, "resource_pool": "default"}, [], "ok"),
        ({"slots_per_trial": 4, "resource_pool": "default"}, [], "fail"),
        ({"slots_per_trial": 4, "resource_pool": "default"}, ["default"], "ok"),
        ({"slots_per_trial": 1, "resource_pool": "gone"}, [], "fail"),
        ({"slots_per_trial": 1, "resource_pool": "default", "slot_type": "P100"}, [], "fail"),
        ({"slots_per_trial": 1, "resource_pool": "default", "slot_type": "V100"}, [], "ok"),
        ({"slots_per_trial": 1, "resource_pool": "default", "slot_memory": 16}, [], "ok"),
        ({"slots_per_trial": 1, "resource_pool": "default", "slot_memory": 17}, [], "fail"),
        ({"slots": {"min": 3}, "slots_per_trial": 1, "resource_pool": "default"}, [], "fail"),
    ],
)  # fmt: skip
def test_pools(resources: dict[str, Any], served: list[str], state: str) -> None:
    rows = [{"pool": name, "draining": False} for name in served]
    nodes = [node(), node(state="draining")]
    assert states(*platform.pools({"resources": resources}, nodes, rows)) == [state]


def test_no_slots() -> None:
    found = [platform.slots([]), platform.slots([node(state="removed")]), platform.slots([node()])]
    assert states(*found) == ["warn", "warn", "ok"]


def test_a_large_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text("pass")
    (tmp_path / "weights.bin").write_bytes(b"x" * 2000)
    assert states(*folder.code(tmp_path)) == ["ok", "ok"]
    monkeypatch.setattr(folder, "LARGE", 1000)
    assert states(*folder.code(tmp_path)) == ["ok", "warn"]
    monkeypatch.setattr("shoal.bundle.MAX_SIZE", 10)
    (tmp_path / ".shoalignore").write_text("")
    [found] = folder.code(tmp_path)
    assert found.state == "fail"
    assert "such as weights.bin" in found.todo
    (tmp_path / ".shoalignore").write_text("*.bin")
    assert states(*folder.code(tmp_path)) == ["ok"]


def test_storage_of_an_unknown_kind() -> None:
    found = [
        finding
        for url in (None, "file:///x", "nowhere://x")
        for finding in folder.storage({"checkpoint_storage": {"url": url}})
    ]
    assert states(*found) == ["ok", "warn"]
    assert "nowhere:// is no kind of storage" in found[1].text


def test_something_else_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    real = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **named: real(transport=answer, **named))
    there, [finding] = platform.answers("http://x", "0.1.0")
    assert (there, finding.state) == (False, "fail")


def test_without_a_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path))
    (tmp_path / "e.yaml").write_text("name: x")
    result = CliRunner().invoke(app, ["doctor", str(tmp_path / "e.yaml"), "--json"])
    assert result.exit_code == 1
    found = {f["what"]: f for f in json.loads(result.stdout)}
    assert "shoal up" in found["Gateway"]["todo"]
    assert "entrypoint" in found["File"]["text"]
    assert found["Python"]["state"] == "ok"


class Told:
    """A client that is told where the feed is."""

    def __init__(self, url: str | ShoalError) -> None:
        self._url = url

    def feed(self) -> Any:
        if isinstance(self._url, ShoalError):
            raise self._url
        return {"url": self._url}


@pytest.mark.parametrize("said", [b"SSH-2.0-x\r\n", b"", b"INFO no json\r\n"])
def test_a_feed_that_is_no_nats_server(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line, _ = server.accept()
            with line:
                line.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"nats://127.0.0.1:{server.getsockname()[1]}"
        found = feed.feed(Told(url), "t")  # type: ignore[arg-type]
        thread.join()
    assert found.state == "fail"
    assert f"does not answer at {url}" in found.text
    assert "SHOAL_FEED_PUBLIC_URL" in found.todo


def test_a_feed_that_is_not_there() -> None:
    gone = ShoalError("There is none.", 404)
    away = ShoalError("NATS does not answer.", 503)
    found = [feed.feed(Told(what), "t") for what in (gone, away, "nats://127.0.0.1:1")]  # type: ignore[arg-type]
    assert states(*found) == ["ok", "fail", "fail"]
