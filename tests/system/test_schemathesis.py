"""Requests that nobody would write, against a gateway that runs: no 5xx, nothing undocumented."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ports import free_port

pytestmark = pytest.mark.system

SECONDS = 60
"""For which requests are made up."""
LEFT_OUT = (
    "/v1/events",  # does not end
    "/v1/logout",  # ends the token that all others need
    "/v1/login/oidc",  # redirects to elsewhere
    "/v1/login/oidc/callback",
)


@pytest.fixture
def gateway(nats_url: str, redis_url: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where a gateway answers, and a token of its administrator."""
    port, token = free_port(), tmp_path / "token"
    settings = {
        "SHOAL_NATS_URL": nats_url, "SHOAL_REDIS_URL": redis_url, "SHOAL_PORT": str(port),
        "SHOAL_STORAGE_URL": f"file://{tmp_path / 'storage'}", "SHOAL_TOKEN_FILE": str(token),
        "SHOAL_RATE_LIMIT": "100000", "SHOAL_SECRET_KEY": "k" * 32,
    }  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shoal_gateway"],
            env=os.environ | settings,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url, token.read_text().strip()
    finally:
        process.terminate()
        process.wait(20)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert process.poll() is None, "the gateway ended"
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the gateway is not ready")


@pytest.mark.timeout(SECONDS + 120)
def test_nothing_makes_it_fail(gateway: tuple[str, str], tmp_path: Path) -> None:
    url, token = gateway
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
        config = {
            "name": "x", "entrypoint": "x",
            "searcher": {"name": "custom", "metric": "loss", "max_time": 3},
        }  # fmt: skip
        for _ in range(3):
            assert http.post("/v1/experiments", json={"config": config}).status_code == 201
    document = tmp_path / "openapi.json"
    made = [sys.executable, "-m", "shoal_gateway", "openapi"]
    document.write_bytes(subprocess.run(made, check=True, capture_output=True).stdout)
    command = [
        str(Path(sys.executable).parent / "st"), "run", str(document), "--url", url,
        "--header", f"Authorization: Bearer {token}", "--max-time", str(SECONDS),
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_headers_conformance,response_schema_conformance",
        "--request-timeout", "20", "--continue-on-failure", "--seed", "1", "--no-color",
        "--max-failures", "20", "--no-shrink", "--generation-database", "none",
        "--suppress-health-check", "all", "--warnings", "off",
    ]  # fmt: skip
    for path in LEFT_OUT:
        command += ["--exclude-path", path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-60000:] + done.stderr[-1000:]
    assert httpx.get(f"{url}/readyz").status_code == 200
