"""Reading the description of the pools, and the table of prices."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from shoal_contract.parse import plain
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.prices import Prices

T = TypeVar("T")
_POOLS: TypeAdapter[list[Pool]] = TypeAdapter(list[Pool])


class PoolsError(ValueError):
    """The pools' description or the table of prices is wrong; the text says where."""


def read_pools(source: str) -> list[Pool]:
    """The pools that `source` describes: a list as YAML or JSON, or the path of a file with one.

    Raises PoolsError with the place and the fault.
    """
    text, origin = source, "SHOAL_POOLS"
    if not text.lstrip().startswith(("[", "-")):
        origin = f"the pools' file {text}"
        text = _text(Path(text), origin)
    found = _parsed(_POOLS, text, origin)
    if not found:
        raise PoolsError(f"{origin}: there is no pool in it")
    names = [pool.name for pool in found]
    if len(set(names)) != len(names):
        raise PoolsError(f"{origin}: two pools have the same name")
    if any(pool.driver == "simulated" for pool in found):
        raise PoolsError(f"{origin}: `driver: simulated` is for simulations alone")
    if sum(pool.driver == "ssh" for pool in found) > 1:
        raise PoolsError(f"{origin}: two pools have `driver: ssh`: list all machines in one")
    return found


def read_prices(path: str) -> Prices:
    """The table of prices in a file; of the package if `path` is empty. Raises PoolsError."""
    if path:
        origin = f"the table of prices {path}"
        return _parsed(TypeAdapter(Prices), _text(Path(path), origin), origin)
    shipped = resources.files("shoal_provisioner") / "prices.yaml"
    return _parsed(TypeAdapter(Prices), shipped.read_text(), "prices.yaml")


def check_prices(pools: Sequence[Pool], prices: Prices) -> None:
    """Raises PoolsError if a machine that costs money has no price: budgets could not hold."""
    for pool in pools:
        if pool.driver != "gcp":
            continue
        for kind in pool.its_kinds:
            for zone in pool.its_zones:
                price = prices.of(kind, zone)
                if price is None:
                    raise PoolsError(
                        f"pool {pool.name}: the table of prices of {prices.as_of} has none for"
                        f" {kind.name}: add it there (SHOAL_PRICES) or give the kind a `price`"
                    )
                if pool.provisioning == "spot" and price.spot is None:
                    raise PoolsError(f"pool {pool.name}: {kind.name} has no spot price")


def _text(path: Path, origin: str) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise PoolsError(f"{origin} cannot be read: {error}") from error


def _parsed(adapter: TypeAdapter[T], text: str, origin: str) -> T:
    try:
        return adapter.validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise PoolsError(f"{origin} is neither YAML nor JSON: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PoolsError(f"{origin}: {where or 'the whole'}: {plain(first['msg'])}") from error
