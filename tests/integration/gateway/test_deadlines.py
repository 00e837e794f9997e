"""Deadlines that are accepted, and those that nobody could keep."""

from typing import Literal

import pytest

from shoal_contract.events.instance import PoolConfigured, PoolLimits

from .conftest import CONFIG, Gateway
from .test_gateway import publish


def pool(
    name: str, provisioning: Literal["spot", "on_demand"], deadline_policy: str
) -> PoolConfigured:
    return PoolConfigured(
        pool=name, driver="gcp", provisioning=provisioning, deadline_policy=deadline_policy,
        kinds=["m"], zones=["z"], limits=PoolLimits(), at=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("deadline", "pools", "complaint"),
    [
        ("8h", ["spot"], "spot minds no deadlines"),
        ("8h", ["spot", "keeper"], None),
        ("8h", ["bought"], None),
        ("8h", ["unknown"], None),
        ("2020-01-31T18:00:00Z", ["keeper"], "is over"),
    ],
)
async def test_deadlines(
    gateway: Gateway, deadline: str, pools: list[str], complaint: str | None
) -> None:
    await publish(
        gateway,
        pool("spot", "spot", "none"),
        pool("keeper", "spot", "uniform_progress"),
        pool("bought", "on_demand", "none"),
    )
    await gateway.until("/v1/pools", lambda found: len(found["items"]) == 3)
    config = CONFIG | {"deadline": deadline, "resources": {"resource_pools": pools}}
    answer = await gateway.http.post("/v1/experiments", json={"config": config})
    if complaint is None:
        assert answer.status_code == 201, answer.text
    else:
        [problem] = answer.json()["errors"]
        assert (answer.status_code, problem["path"]) == (422, "deadline")
        assert complaint in problem["message"]
