"""Reads how pools are shared: YAML or JSON, as it is or in a file."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from shoal_contract.parse import plain
from shoal_scheduler.core.pools import Pools


class PoolsError(ValueError):
    """What was given says nothing about pools. The text says what to mend."""


def read_pools(text: str) -> Pools:
    """The pools, from a mapping or the path of a file with one. Raises PoolsError."""
    try:
        found = yaml.safe_load(text)
        if isinstance(found, str):
            found = yaml.safe_load(Path(found).read_text())
        return Pools.model_validate(found or {})
    except OSError as error:
        raise PoolsError(f"SHOAL_SHARING: {text} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise PoolsError(f"SHOAL_SHARING is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise PoolsError(f"SHOAL_SHARING: {place}: {plain(first['msg'])}") from error
