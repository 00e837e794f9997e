"""Reading the description of the pools."""

from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from shoal_provisioner.core.pools import Pool

_POOLS: TypeAdapter[list[Pool]] = TypeAdapter(list[Pool])


class PoolsError(ValueError):
    """The pools' description is wrong; the text says where."""


def read_pools(source: str) -> list[Pool]:
    """The pools that `source` describes: a list as YAML or JSON, or the path of a file with one.

    Raises PoolsError with the place and the fault.
    """
    text, origin = source, "SHOAL_POOLS"
    if not text.lstrip().startswith(("[", "-")):
        origin = text
        try:
            text = Path(text).read_text()
        except OSError as error:
            raise PoolsError(f"the pools' file {origin} cannot be read: {error}") from error
    try:
        found = _POOLS.validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise PoolsError(f"{origin} is neither YAML nor JSON: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PoolsError(f"{origin}: {where or 'the whole'}: {first['msg']}") from error
    if not found:
        raise PoolsError(f"{origin}: there is no pool in it")
    names = [pool.name for pool in found]
    if len(set(names)) != len(names):
        raise PoolsError(f"{origin}: two pools have the same name")
    return found
