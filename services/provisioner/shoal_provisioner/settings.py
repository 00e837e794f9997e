"""The provisioner's settings, from the environment."""

from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shoal_provisioner.core.pools import Pool

_POOLS: TypeAdapter[list[Pool]] = TypeAdapter(list[Pool])


class PoolsError(ValueError):
    """The pools' description is wrong; the text says where."""


class Settings(BaseSettings):
    """Each field is read from `SHOAL_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="SHOAL_")

    nats_url: str = "nats://127.0.0.1:4222"
    replica: str = "provisioner-0"
    """This replica's name; a process that comes back under it takes over at once."""
    state_dir: Path = Path.home() / ".shoal" / "provisioner"
    """Where the local driver keeps its machines' files."""
    pools: str = '[{"name": "default"}]'
    """A list of pools as YAML or JSON, or the path of a file with one."""

    def read_pools(self) -> list[Pool]:
        """The pools. Raises PoolsError with the place and the fault."""
        text, origin = self.pools, "SHOAL_POOLS"
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
        names = [pool.name for pool in found]
        if len(set(names)) != len(names):
            raise PoolsError(f"{origin}: two pools have the same name")
        return found
