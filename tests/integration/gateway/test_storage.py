"""Storage that cannot be used is refused in a sentence, and so is what no event can hold."""

import subprocess

from integration.gateway.processes import command, environment

from shoal_gateway.settings import Settings

from .conftest import CONFIG, Gateway


async def test_a_config_with_unknown_storage_is_refused(gateway: Gateway) -> None:
    config = CONFIG | {"checkpoint_storage": {"url": "nowhere://b/x"}}
    answer = await gateway.http.post("/v1/experiments", json={"config": config})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:shoal:problem:config")
    assert answer.json()["errors"][0]["path"] == "checkpoint_storage.url"
    assert "nowhere:// is no kind of storage" in answer.json()["detail"]


async def test_a_config_that_no_event_can_hold_is_refused(gateway: Gateway) -> None:
    config = CONFIG | {"description": "x" * 2**21}
    answer = await gateway.http.post("/v1/experiments", json={"config": config})
    assert answer.status_code == 413
    assert "NATS takes messages of" in answer.json()["detail"]


def test_a_gateway_without_its_storage_does_not_start() -> None:
    settings = Settings(storage_url="nowhere://b")
    ended = subprocess.run(
        command(), env=environment(settings), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "SHOAL_STORAGE_URL: nowhere:// is no kind of storage" in ended.stderr
    assert "Traceback" not in ended.stderr
