import re
from pathlib import Path

import pytest
import yaml
from unit.provisioner.spot import GCP, PRICES, V100

from shoal_provisioner.shell.pools import PoolsError, check_prices, read_pools, read_prices

GOOD = {"name": "gpu", "driver": "gcp", "gcp": GCP, "kinds": [V100], "zones": ["us-east1-c"],
        "provisioning": "spot", "fallback_after": 600, "deadline_policy": "uniform_progress",
        "budget": {"per_hour": 60, "per_day": 500}, "mode": "observe"}  # fmt: skip


def read(**changed):
    return read_pools(yaml.safe_dump([{k: v for k, v in {**GOOD, **changed}.items() if v != "-"}]))


def test_a_pool_of_spot_machines_is_read():
    (pool,) = read()
    assert (pool.most_slots("V100"), pool.its_kinds[0].name) == (
        2,
        "n1-standard-8-1xnvidia-tesla-v100",
    )
    check_prices([pool], PRICES)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"gcp": "-"}, "0: .*needs `gcp: {project"),
        ({"zones": ["us-east1"]}, "'us-east1' is no zone; expected something like us-central1-a"),
        ({"gcp": {**GCP, "subnetworks": {"us-west1": "x"}}}, "none for the region of us-east1-c"),
        ({"zones": []}, "needs `kinds` and `zones`"),
        (
            {"kinds": [{"machine_type": "n1-standard-8", "gpu": "x"}]},
            "0.kinds.0: .*belong together",
        ),
        ({"kinds": [{"machine_type": "a2-highgpu-1g"}]}, "has GPUs built in: say which"),
        ({"kinds": [V100, V100]}, "two kinds have the same"),
        ({"provisioning": "on_demand"}, "`fallback_after` is for pools with"),
        ({"provisioning": "on_demand", "fallback_after": "-"}, "`deadline_policy` is for pools"),
        ({"provisioning": "cheap"}, "0.provisioning: input should be 'spot' or 'on_demand'"),
        ({"budget": {"per_hour": -1}}, "0.budget.per_hour: .*greater than 0"),
        ({"budget": {"lines": [0.9, 0.5]}}, "shares between 0 and 1, rising"),
        ({"name": "My_Pool"}, "must be one for Compute Engine"),
        ({"driver": "ssh"}, "`driver: ssh` needs"),
        ({"mode": "look"}, "0.mode: "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(changed, words):
    with pytest.raises(PoolsError, match=words):
        read(**changed)


@pytest.mark.parametrize(
    ("gpu", "slot_type", "suits"),
    [
        ("nvidia-tesla-v100", "", True),
        ("nvidia-tesla-v100", "V100", True),
        ("nvidia-tesla-v100", "Tesla V100-SXM2-16GB", True),
        ("nvidia-tesla-v100", "Tesla P100-PCIE-16GB", False),
        ("nvidia-tesla-v100", "A100", False),
        ("nvidia-l4", "NVIDIA L4", True),
        ("nvidia-a100-80gb", "NVIDIA A100-SXM4-80GB", True),
        ("nvidia-tesla-t4", "cpu", False),
        ("nvidia-tesla-v100", ">=16", True),
        ("nvidia-tesla-v100", "V100>=32", False),
        ("nvidia-a100-80gb", "A100>=80", True),
        ("nvidia-a100-80gb", "V100>=80", False),
        ("nvidia-unheard-of-9000", ">=1", False),
    ],
)
def test_a_kind_has_the_slots_that_its_gpu_is(gpu, slot_type, suits):
    (pool,) = read(kinds=[{**V100, "gpu": gpu}])
    assert pool.suits(pool.kinds[0], slot_type) is suits
    assert bool(pool.most_slots(slot_type)) is suits


def test_what_is_not_known_of_a_machine_outside_a_cloud_is_no_reason_against_it():
    (local,) = read_pools('[{"name": "a"}]')
    assert local.suits(local.its_kinds[0], "Tesla V100")
    assert local.suits(local.its_kinds[0], "V100>=32")
    (cpus,) = read(kinds=[{"machine_type": "n1-standard-8"}])
    wishes = ("cpu", "V100", ">=4")
    assert [cpus.suits(cpus.kinds[0], wish) for wish in wishes] == [True, False, False]


@pytest.mark.parametrize("driver", ["local", "gcp"])
def test_memory_is_as_a_kind_says(driver):
    kind = {"machine_type": "n1-standard-8", "slot_memory": 4}
    (pool,) = read(kinds=[kind], driver=driver)
    wishes = (">=4", ">=5")
    assert [pool.suits(pool.kinds[0], wish) for wish in wishes] == [True, False]


def test_a_machine_without_a_price_is_refused():
    kind = {"machine_type": "n2-standard-8"}
    with pytest.raises(PoolsError, match="has none for n2-standard-8: add it there"):
        check_prices(read(kinds=[kind]), PRICES)
    with pytest.raises(PoolsError, match="has no spot price"):
        check_prices(read(kinds=[{**kind, "price": {"on_demand": 1}}]), PRICES)
    check_prices(read(kinds=[{**kind, "price": {"on_demand": 1, "spot": 0.2}}]), PRICES)


def test_a_table_of_ones_own_may_differ_by_region_and_zone(tmp_path):
    file = tmp_path / "prices.yaml"
    table = PRICES.model_dump() | {"zones": {"us-east1": 1.5, "us-east1-d": 2.0}}
    file.write_text(yaml.safe_dump(table))
    prices, (pool,) = read_prices(str(file)), read()
    found = [prices.of(pool.kinds[0], zone) for zone in ("us-west1-a", "us-east1-c", "us-east1-d")]
    assert [round(price.on_demand, 2) for price in found] == [2.86, 4.29, 5.72]
    with pytest.raises(PoolsError, match="prices /no/such cannot be read"):
        read_prices("/no/such")
    file.write_text("as_of: today")
    with pytest.raises(PoolsError, match="source: field required"):
        read_prices(str(file))


def test_the_pools_on_the_services_page_are_right():
    readme = Path(__file__).parents[3] / "services" / "provisioner" / "README.md"
    (text,) = re.findall(r"```yaml\n(.*?)```", readme.read_text(), re.S)
    pools = read_pools(text)
    check_prices(pools, PRICES)
    assert [pool.driver for pool in pools] == ["gcp", "ssh"]
