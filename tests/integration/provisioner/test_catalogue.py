"""Prices from the billing catalogue, over its wire format."""

import google.auth
import pytest
from fakes import billing, compute
from fakes.billing import FakeBilling, sku
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from unit.provisioner.spot import PRICES, V100, A, C, spot_pool

from shoal_provisioner.__main__ import _prices
from shoal_provisioner.core.pools import Kind
from shoal_provisioner.settings import Settings

A100 = {"machine_type": "a2-highgpu-1g", "gpu": "nvidia-tesla-a100", "gpu_count": 1}
HERE, EAST = ("us-central1",), ("us-east1",)


def n1(core: float, ram: float, regions: tuple[str, ...], usage: str = "OnDemand") -> list:
    spot = "Spot Preemptible " if usage == "Preemptible" else ""
    more = {"usage": usage, "group": "N1Standard", "regions": regions}
    return [
        sku(f"{spot}N1 Predefined Instance Core running in Americas", core, **more),
        sku(f"{spot}N1 Predefined Instance Ram running in Americas", ram, unit="GiBy.h", **more),
    ]


def gpu(name: str, price: float, regions: tuple[str, ...], usage: str = "OnDemand") -> dict:
    how = "GPU attached to Spot Preemptible VMs" if usage == "Preemptible" else "GPU"
    text = f"Nvidia {name} {how} running in Americas"
    return sku(text, price, usage=usage, group="GPU", regions=regions)


SKUS = [
    *n1(0.031611, 0.004237, (*HERE, *EAST)),
    *n1(0.007, 0.001, HERE, "Preemptible"),
    *n1(0.008, 0.001, EAST, "Preemptible"),
    gpu("Tesla V100", 2.48, (*HERE, *EAST)),
    gpu("Tesla V100", 0.7, HERE, "Preemptible"),
    gpu("Tesla V100", 0.9, EAST, "Preemptible"),
    sku("A2 Instance Core running in Americas", 0.03, regions=HERE),
    sku("A2 Instance Ram running in Americas", 0.004, unit="GiBy.h", group="RAM", regions=HERE),
    gpu("Tesla A100", 2.9, HERE),
    # what must not be taken for one of these
    sku("Commitment v1: N1 Predefined Instance Core running in Americas", 9, usage="Commit1Yr"),
    sku("Custom Instance Core running in Americas", 9),
    sku("N1 Predefined Instance Core running in Americas", 9, usage="Commit3Yr"),
    sku("Nvidia Tesla A100 80GB GPU running in Americas", 9, group="GPU"),
    sku("Storage PD Capacity", 9, unit="GiBy.mo", group="PDStandard"),
    {"description": "N1 Predefined Instance Core running in Americas", "pricingInfo": []},
]


@pytest.fixture
def read(monkeypatch):
    """What the service makes of `SHOAL_PRICES=catalogue`."""
    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), "lab"))

    def reading(fake, *pools):
        with billing.serving(fake) as prices, compute.serving(compute.FakeCompute()) as machines:
            settings = Settings(
                prices="catalogue", billing_endpoint=prices, compute_endpoint=machines
            )
            return _prices(settings, pools)

    return reading


def test_a_machine_costs_its_parts_in_its_region(read):
    fake = FakeBilling(SKUS, page=4)
    found = read(fake, spot_pool(kinds=[V100, A100]))
    assert len(fake.asked) == 5, "page by page"
    assert fake.asked[0] == {"currencyCode": "USD", "pageSize": "5000"}
    here, east = found.of(Kind(**V100), A), found.of(Kind(**V100), C)
    assert here.on_demand == pytest.approx(8 * 0.031611 + 30 * 0.004237 + 2.48)
    assert here.spot == pytest.approx(8 * 0.007 + 30 * 0.001 + 0.7)
    assert east.spot == pytest.approx(8 * 0.008 + 30 * 0.001 + 0.9)
    built_in = found.of(Kind(**A100), A)
    assert built_in.on_demand == pytest.approx(12 * 0.03 + 85 * 0.004 + 2.9)
    assert built_in.spot is None, "it is not sold so there"
    assert found.source.startswith("Cloud Billing Catalogue")


def test_what_it_lacks_stays_as_in_the_table(read, caplog):
    found = read(FakeBilling([s for s in SKUS if "us-east1" not in s.get("serviceRegions", [])]),
                 spot_pool())  # fmt: skip
    assert found.of(Kind(**V100), C) == PRICES.of(Kind(**V100), C)
    assert "no price for n1-standard-8-1xnvidia-tesla-v100 in us-east1" in caplog.text


def test_passing_faults_are_outlived(read):
    fake = FakeBilling(SKUS, failing=[503, 429])
    assert read(fake, spot_pool()).source.startswith("Cloud Billing Catalogue")


@pytest.mark.parametrize("failing", [[403], [503] * 9])
def test_without_the_catalogue_the_table_counts(read, caplog, failing):
    assert read(FakeBilling(SKUS, failing=failing), spot_pool()) == PRICES
    assert "prices are those of 2023" in caplog.text


def test_without_credentials_the_table_counts(read, caplog, monkeypatch):
    def none(**_):
        raise DefaultCredentialsError("no credentials")

    monkeypatch.setattr(google.auth, "default", none)
    assert read(FakeBilling(SKUS), spot_pool()) == PRICES
    assert "no credentials" in caplog.text
