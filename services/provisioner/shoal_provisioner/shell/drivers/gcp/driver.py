"""Google Cloud's machines as a driver."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from google.api_core.exceptions import BadRequest, GoogleAPICallError
from google.cloud import compute_v1

from shoal_provisioner.core.pools import Kind, Pool
from shoal_provisioner.core.prices import region_of
from shoal_provisioner.shell.drivers.base import Machine, Order, StartError
from shoal_provisioner.shell.drivers.gcp.api import Compute
from shoal_provisioner.shell.drivers.gcp.errors import explained, of_operation
from shoal_provisioner.shell.drivers.gcp.template import (
    CLUSTER,
    KIND,
    POOL,
    instance_name,
    template_of,
)

log = logging.getLogger(__name__)

UP = ("PROVISIONING", "STAGING", "RUNNING", "REPAIRING")
PREEMPTED = "compute.instances.preempted"
"""The operation that Compute Engine notes when it takes a machine back."""
_SPACE = uuid.UUID("6f2f4b1c-6f8e-4a35-8d4e-0c1b7a3e5f11")


@dataclass(slots=True)
class GcpDriver:
    """Machines of all pools in Google Cloud that carry `cluster` as their mark."""

    cluster: str
    pools: Mapping[str, Pool]
    connect: Callable[[str], Compute] = Compute
    """Project to its calls."""
    join_token: str = ""
    poll: float = 20.0
    look: float = 1.0
    """Seconds between two looks at a machine that is about to end by itself."""
    _computes: dict[str, Compute] = field(default_factory=dict)
    _templates: dict[tuple[str, str, str, bool], str] = field(default_factory=dict)
    """Those that are known to be there."""

    def compute(self, project: str) -> Compute:
        """The calls of a project."""
        if project not in self._computes:
            self._computes[project] = self.connect(project)
        return self._computes[project]

    @property
    def projects(self) -> list[str]:
        """Those of all pools."""
        return sorted({pool.gcp.project for pool in self.pools.values() if pool.gcp})

    async def start(self, orders: Sequence[Order]) -> dict[str, StartError]:
        """Start machines with one bulk insert, as many of them as can be had."""
        first = orders[0]
        pool = self.pools[first.pool]
        compute = self.compute(pool.gcp.project if pool.gcp else "")
        names = {instance_name(self.cluster, o.instance_id): o.instance_id for o in orders}
        try:
            there = await self._there(compute, first.zone)
            ended = await self._ended(compute, first.zone, names)
            missing = sorted(names.keys() - there - ended)
            error: StartError | None = None
            if missing:
                error = await self._insert(compute, pool, first, missing)
                there = await self._there(compute, first.zone)
        except StartError as refused:
            there, ended, error = set(), set(), refused
        except GoogleAPICallError as refused:
            there, ended, error = set(), set(), explained(refused)
        failed: dict[str, StartError] = {}
        for name, instance_id in names.items():
            if name in ended:
                text = f"{instance_id} has ended; a machine is never started twice"
                failed[instance_id] = StartError(text)
            elif name not in there:
                text = f"{instance_id} could not be started in {first.zone}: {error or 'no reason'}"
                failed[instance_id] = StartError(text, error.cause if error else "stock_out")
        return failed

    async def _insert(
        self, compute: Compute, pool: Pool, order: Order, names: Sequence[str]
    ) -> StartError | None:
        template = await self._template(compute, pool, order)
        # The same machines again are the same request, which Compute Engine carries out once.
        request_id = str(uuid.uuid5(_SPACE, " ".join([order.zone, template, *names])))
        try:
            done = await compute.bulk_insert(order.zone, template, names, request_id)
        except GoogleAPICallError as refused:
            if "instanceTemplates" in refused.message:
                self._templates.clear()  # somebody deleted it: make it again the next time
            return explained(refused)
        except StartError as error:
            return error
        return of_operation(done)

    async def _template(self, compute: Compute, pool: Pool, order: Order) -> str:
        region = region_of(order.zone)
        key = (pool.name, order.kind, region, order.spot)
        if key not in self._templates:
            kind = _kind(pool, order.kind)
            notice = pool.gcp.notice if pool.gcp else 0
            template = self._describe(pool, kind, region, order.spot, notice)
            try:
                await compute.make_template(template)
            except BadRequest as error:
                if "preemptionNotice" not in error.message:
                    raise
                log.warning("no longer preemption notice here: %s", error.message)
                template = self._describe(pool, kind, region, order.spot, 0)
                await compute.make_template(template)
            self._templates[key] = template.name
        return self._templates[key]

    def _describe(
        self, pool: Pool, kind: Kind, region: str, spot: bool, notice: int
    ) -> compute_v1.InstanceTemplate:
        return template_of(self.cluster, pool, kind, region, spot, self.join_token, notice)

    async def stop(self, instance_id: str, zone: str, grace: float, *, told: bool = False) -> None:
        """Delete a machine. Its system ends in order, which tells the worker. One that knows
        already that it is taken back is left to its checkpoint for `grace` seconds."""
        name = instance_name(self.cluster, instance_id)
        for project in self.projects:
            compute = self.compute(project)
            found = await compute.instance(zone, name)
            waited = 0.0
            while told and found is not None and waited < grace and found.status in UP:
                await asyncio.sleep(self.look)
                waited += self.look
                found = await compute.instance(zone, name)
            if found is not None and found.labels.get(CLUSTER) == self.cluster:
                request_id = str(uuid.uuid5(_SPACE, f"delete {found.id}"))
                await compute.delete(zone, name, request_id)

    async def machines(self) -> list[Machine]:
        """All that carry our mark, in all projects and zones, but those that are ending."""
        found: list[Machine] = []
        for project in self.projects:
            compute = self.compute(project)
            for instance in await compute.instances(f"labels.{CLUSTER}={self.cluster}"):
                if instance.labels.get(CLUSTER) != self.cluster:
                    continue
                zone = instance.zone.rpartition("/")[2]
                name = instance.name.removeprefix(f"{self.cluster}-")
                spot = instance.scheduling.provisioning_model == "SPOT"
                ending = instance.status not in UP
                taken = ending and spot and await self._taken(compute, zone, instance.name)
                if ending and not taken and instance.status != "TERMINATED":
                    continue  # it is gone in a moment
                found.append(
                    Machine(
                        pool=instance.labels.get(POOL, ""),
                        instance_id=name,
                        kind=instance.labels.get(KIND, ""),
                        zone=zone,
                        spot=spot,
                        preempted=taken,
                    )
                )
        return found

    async def was_preempted(self, instance_id: str, zone: str) -> bool:
        """Whether Compute Engine notes that it took a machine back."""
        name = instance_name(self.cluster, instance_id)
        return any([await self._taken(self.compute(p), zone, name) for p in self.projects])

    async def _taken(self, compute: Compute, zone: str, name: str) -> bool:
        found = await compute.operations(zone, _about([PREEMPTED], [name]))
        return bool(found)

    async def _there(self, compute: Compute, zone: str) -> set[str]:
        found = await compute.instances(f"labels.{CLUSTER}={self.cluster}")
        return {i.name for i in found if i.zone.endswith(f"/{zone}") and i.status in UP}

    async def _ended(self, compute: Compute, zone: str, names: Iterable[str]) -> set[str]:
        found = await compute.operations(zone, _about(["delete", PREEMPTED], names))
        return {operation.target_link.rpartition("/")[2] for operation in found}


def _kind(pool: Pool, name: str) -> Kind:
    for kind in pool.its_kinds:
        if kind.name == name:
            return kind
    raise StartError(f"the pool {pool.name} has no kind {name} any more", "config")


def _about(types: Sequence[str], names: Iterable[str]) -> str:
    """A filter for operations of some types on some machines (RE2, as the API has it)."""
    these = "|".join(sorted(names))
    return f'(operationType eq "{"|".join(types)}") (targetLink eq ".*/instances/({these})")'
