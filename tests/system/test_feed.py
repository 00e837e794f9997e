"""`shoal up`: whoever has a token of this machine's platform can subscribe to its events."""

import asyncio
import json
import stat
from pathlib import Path

import httpx
import nats
import pytest

from shoal_local import state
from shoal_local.supervisor import Supervisor

pytestmark = pytest.mark.system
CONFIG = {
    "name": "n", "entrypoint": "python x.py", "hyperparameters": {},
    "searcher": {"name": "single", "metric": "loss", "max_time": 1},
}  # fmt: skip


async def test_events_of_a_local_platform_arrive_at_its_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path / "home"))
    folder = tmp_path / "platform"
    with Supervisor(folder, machines=1) as platform:
        found = state.read()
        assert found is not None
        assert found.feed_url == platform.feed_url
        for name in ("feed.key", "feed.password"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        secret = (folder / "feed.password").read_text()
        assert secret not in (folder / "feed.conf").read_text()
        token = (folder / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            asyncio.timeout(60),
            httpx.AsyncClient(base_url=platform.url, headers=headers) as http,
        ):
            me = (await http.get("/v1/me")).json()
            prefix = f"_INBOX_{me['token_id']}"
            line = await nats.connect(platform.feed_url, token=token, inbox_prefix=prefix)
            events = await line.jetstream().subscribe(
                "shoal.feed.default.>", stream="SHOAL_FEED_default", ordered_consumer=True
            )
            body = {"config": CONFIG, "bundle": None}
            made = (await http.post("/v1/experiments", json=body)).json()
            seen = set[str]()
            while "shoal.v1.search.accepted" not in seen:
                message = await events.next_msg(timeout=30)
                assert json.loads(message.data)["experiment_id"] == made["experiment_id"]
                seen.add(message.headers["ce-type"])
            await line.close()
