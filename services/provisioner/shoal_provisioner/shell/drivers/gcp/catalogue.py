"""Prices from the Cloud Billing Catalogue: public list prices, the newest.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list. A machine has no price
there: its vCPUs, its memory and its GPUs have, in each region, on demand and preemptible. Which is
which, only descriptions say (`N1 Predefined Instance Core running in Americas`).
"""

import functools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import google.auth
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.util.retry import Retry

from shoal_provisioner.core.pools import Kind, Pool, Price
from shoal_provisioner.core.prices import Prices, region_of
from shoal_provisioner.shell.drivers.gcp.api import Compute

log = logging.getLogger(__name__)

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
COMPUTE_ENGINE = "services/6F81-5844-456A"
PAGE = 5000
"""SKUs a page: the most that the API gives."""
TIMEOUT = 60.0
Json = Mapping[str, Any]
Shape = tuple[int, float]
"""vCPUs, and GiB of memory, of a machine type."""
Rates = dict[tuple[str, str, bool], float]
"""Region, resource (`n1 core`, `n1 ram`, `nvidia-v100`), and whether preemptible, to USD an hour of
one vCPU, GiB or GPU."""

_PART = re.compile(
    r"(?:(?:Spot )?Preemptible )?(\w+)(?: Predefined)? Instance (Core|Ram) running in"
)
_GPU = re.compile(r"(Nvidia [\w ]+?) GPU (?:attached to Spot Preemptible VMs )?running in")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue, as it is read. `session` carries the credentials."""

    session: AuthorizedSession
    endpoint: str

    def skus(self) -> Iterator[Json]:
        """Compute Engine's SKUs, page by page. Raises RequestException or GoogleAuthError."""
        retry = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
        self.session.mount(self.endpoint, HTTPAdapter(max_retries=retry))
        url = f"{self.endpoint}/v1/{COMPUTE_ENGINE}/skus"
        params: dict[str, str | int] = {"currencyCode": "USD", "pageSize": PAGE}
        while True:
            answer = self.session.get(url, params=params, timeout=TIMEOUT)
            answer.raise_for_status()
            page = answer.json()
            yield from page.get("skus", [])
            if not page.get("nextPageToken"):
                return
            params["pageToken"] = page["nextPageToken"]


def rates(skus: Iterable[Json]) -> Rates:
    """What one vCPU, GiB and GPU costs. What is sold otherwise (commitments, custom machines,
    reservations) is left out."""
    found: Rates = {}
    for sku in skus:
        usage = sku.get("category", {}).get("usageType")
        resource, price = _resource(str(sku.get("description", ""))), _price(sku)
        if resource is None or price is None or usage not in ("OnDemand", "Preemptible"):
            continue
        for region in sku.get("serviceRegions", []):
            found[region, resource, usage == "Preemptible"] = price
    return found


def _resource(description: str) -> str | None:
    if (match := _PART.match(description)) is not None:
        return f"{match[1].lower()} {match[2].lower()}"
    if (match := _GPU.match(description)) is not None:
        return _gpu("-".join(match[1].lower().split()))
    return None


def _gpu(name: str) -> str:
    """An accelerator's name without the word that only some have."""
    return name.replace("nvidia-tesla-", "nvidia-")


def _price(sku: Json) -> float | None:
    """USD an hour. The newest price is the last one; beyond any free amount, the last tier's."""
    try:
        expression = sku["pricingInfo"][-1]["pricingExpression"]
        money = expression["tieredRates"][-1]["unitPrice"]
        if expression["usageUnit"] not in ("h", "GiBy.h"):
            return None
        return int(money.get("units", 0)) + int(money.get("nanos", 0)) / 1e9
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def price_of(kind: Kind, region: str, shape: Shape, found: Rates) -> Price | None:
    """What a machine costs on demand and as a spot machine; None: a part of it has no price."""
    family = kind.machine_type.partition("-")[0]
    parts: list[tuple[str, float]] = [(f"{family} core", shape[0]), (f"{family} ram", shape[1])]
    if kind.gpu is not None:
        parts.append((_gpu(kind.gpu), kind.gpu_count))

    def total(spot: bool) -> float | None:
        each = [found.get((region, resource, spot)) for resource, _ in parts]
        known = [price for price in each if price is not None]
        if len(known) < len(parts):
            return None
        return sum(price * count for price, (_, count) in zip(known, parts, strict=True))

    on_demand = total(False)
    return Price(on_demand=on_demand, spot=total(True)) if on_demand is not None else None


def with_list_prices(
    pools: Sequence[Pool], table: Prices, endpoint: str, compute_endpoint: str | None
) -> Prices:
    """`read`, with the credentials of the environment; without any, the table."""
    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
    except GoogleAuthError as error:
        log.warning("prices are those of %s: %s", table.as_of, error)
        return table

    @functools.cache
    def shape_of(project: str, zone: str, machine_type: str) -> Shape:
        found = Compute(project, compute_endpoint, credentials).machine_type(zone, machine_type)
        return found.guest_cpus, found.memory_mb / 1024

    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    catalogue = Catalogue(session, endpoint)
    return read(catalogue, pools, shape_of, table, datetime.now(UTC).date().isoformat())


def read(
    catalogue: Catalogue,
    pools: Sequence[Pool],
    shape_of: Callable[[str, str, str], Shape],
    table: Prices,
    today: str,
) -> Prices:
    """The table, with the prices of these pools' machines as the catalogue has them now. What it
    does not have, and all if it cannot be read, stays as in the table; the log says so.
    `shape_of` tells of a project, zone and machine type what that type has."""
    try:
        found = rates(catalogue.skus())
        places: dict[str, dict[str, Price]] = {}
        for gcp, kind, zone in [
            (pool.gcp, kind, zone)
            for pool in pools
            if pool.gcp is not None
            for kind in pool.kinds
            for zone in pool.zones
        ]:
            region = region_of(zone)
            try:
                shape = shape_of(gcp.project, zone, kind.machine_type)
            except GoogleAPICallError as error:
                log.warning("%s in %s has no price: %s", kind.machine_type, zone, error)
                continue
            price = price_of(kind, region, shape, found)
            if price is None:
                log.warning("the catalogue has no price for %s in %s", kind.name, region)
            else:
                places.setdefault(region, {})[kind.name] = price
    except (RequestException, GoogleAuthError, GoogleAPICallError, ValueError) as error:
        log.warning("prices are those of %s: the catalogue: %s", table.as_of, error)
        return table
    source = f"Cloud Billing Catalogue; what it lacks: {table.source} ({table.as_of})"
    return table.model_copy(update={"places": places, "as_of": today, "source": source})
