"""What machines cost: a table, dated, with its source."""

from pydantic import Field

from shoal_contract.base import Strict
from shoal_provisioner.core.pools import Kind, Price


class Prices(Strict):
    """USD an hour. A machine's price is its type's and its attached GPUs' together."""

    as_of: str
    source: str
    machines: dict[str, Price] = Field(default_factory=dict)
    """By machine type; for families with GPUs built in, these included."""
    gpus: dict[str, Price] = Field(default_factory=dict)
    """One attached GPU, by accelerator."""
    zones: dict[str, float] = Field(default_factory=dict)
    """Zone or region to a factor on all prices there; 1 where none is given."""

    places: dict[str, dict[str, Price]] = Field(default_factory=dict)
    """Region to whole machines, by the name of their kind; these go before all else here."""

    def of(self, kind: Kind, zone: str) -> Price | None:
        """What a machine costs; None: not in the table. Its `spot` is None if there is none."""
        if kind.price is not None:
            return kind.price
        if (whole := self.places.get(region_of(zone), {}).get(kind.name)) is not None:
            return whole
        parts = [self.machines.get(kind.machine_type)]
        if kind.gpu is not None and not kind.built_in:
            parts += [self.gpus.get(kind.gpu)] * kind.gpu_count
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        factor = self.zones.get(zone, self.zones.get(region_of(zone), 1.0))
        spots = [part.spot for part in known if part.spot is not None]
        return Price(
            on_demand=factor * sum(part.on_demand for part in known),
            spot=factor * sum(spots) if len(spots) == len(known) else None,
        )


FREE = Prices(as_of="", source="nothing costs anything")


def region_of(zone: str) -> str:
    """The region of a zone.

    >>> region_of("us-central1-a")
    'us-central1'
    """
    return zone.rpartition("-")[0] or zone
