"""Compute Engine's calls that are needed, made off the event loop, repeated while that may help,
and followed to their end. https://cloud.google.com/compute/docs/reference/rest/v1"""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound
from google.auth.credentials import Credentials
from google.cloud import compute_v1

from shoal_provisioner.shell.drivers.base import StartError
from shoal_provisioner.shell.drivers.gcp.errors import passing

T = TypeVar("T")
DONE = compute_v1.Operation.Status.DONE
PAGE = 500
"""Items a page: the most that the API gives."""


@dataclass(slots=True)
class Compute:
    """One project's machines."""

    project: str
    endpoint: str | None = None
    """Another address than Google's; None: theirs."""
    credentials: Credentials | None = None
    """None: those of the environment."""
    first_pause: float = 1.0
    """Seconds before a repetition, or a second look at an operation; grows up to `longest_pause`.
    """
    longest_pause: float = 15.0
    attempts: int = 6
    patience: float = 900.0
    """Seconds for which an operation is followed."""
    calls: int = 0
    """Made so far."""
    _clients: dict[str, object] = field(default_factory=dict)

    def _client(self, kind: Callable[..., T]) -> T:
        name = kind.__name__
        if name not in self._clients:
            options = {"api_endpoint": self.endpoint} if self.endpoint else None
            self._clients[name] = kind(credentials=self.credentials, client_options=options)
        client: T = self._clients[name]  # type: ignore[assignment]
        return client

    async def _call(self, call: Callable[[], T]) -> T:
        pause = self.first_pause
        for attempt in itertools.count(1):
            self.calls += 1
            try:
                return await asyncio.to_thread(call)
            except (GoogleAPICallError, OSError) as error:  # OSError: no connection
                repeat = isinstance(error, OSError) or passing(error)
                if attempt >= self.attempts or not repeat:
                    raise
            await asyncio.sleep(pause)
            pause = min(self.longest_pause, 2 * pause)
        raise AssertionError

    async def bulk_insert(
        self, zone: str, template: str, names: Iterable[str], request_id: str
    ) -> compute_v1.Operation:
        """Start machines with these names, as many of them as can be had; the operation, over."""
        body = compute_v1.BulkInsertInstanceResource(
            source_instance_template=f"projects/{self.project}/global/instanceTemplates/{template}",
            per_instance_properties={
                name: compute_v1.BulkInsertInstanceResourcePerInstanceProperties(name=name)
                for name in names
            },
            min_count=1,
        )
        body.count = len(body.per_instance_properties)
        request = compute_v1.BulkInsertInstanceRequest(
            project=self.project,
            zone=zone,
            request_id=request_id,
            bulk_insert_instance_resource_resource=body,
        )
        client = self._client(compute_v1.InstancesClient)
        begun = await self._call(lambda: client.bulk_insert_unary(request=request, retry=None))
        return await self._finish(begun, zone)

    async def delete(self, zone: str, name: str, request_id: str) -> None:
        """Delete a machine, and wait until it is gone. One that is not there is gone."""
        request = compute_v1.DeleteInstanceRequest(
            project=self.project, zone=zone, instance=name, request_id=request_id
        )
        client = self._client(compute_v1.InstancesClient)
        try:
            begun = await self._call(lambda: client.delete_unary(request=request, retry=None))
        except NotFound:
            return
        await self._finish(begun, zone)

    async def instance(self, zone: str, name: str) -> compute_v1.Instance | None:
        """A machine; None: there is none of that name."""
        client = self._client(compute_v1.InstancesClient)
        try:
            return await self._call(
                lambda: client.get(project=self.project, zone=zone, instance=name)
            )
        except NotFound:
            return None

    async def instances(self, filter: str) -> list[compute_v1.Instance]:
        """All machines of the project that match, in all zones: a call for each 500."""
        client = self._client(compute_v1.InstancesClient)

        def page(token: str) -> compute_v1.InstanceAggregatedList:
            request = compute_v1.AggregatedListInstancesRequest(
                project=self.project, filter=filter, max_results=PAGE, page_token=token
            )
            first: compute_v1.InstanceAggregatedList = next(
                client.aggregated_list(request=request).pages
            )
            return first

        found: list[compute_v1.Instance] = []
        token: str | None = ""
        while token is not None:
            one = await self._call(partial(page, token))
            found += [instance for scope in one.items.values() for instance in scope.instances]
            token = one.next_page_token or None
        return found

    async def operations(self, zone: str, filter: str) -> list[compute_v1.Operation]:
        """A zone's operations of the last days that match."""
        client = self._client(compute_v1.ZoneOperationsClient)
        request = compute_v1.ListZoneOperationsRequest(
            project=self.project, zone=zone, filter=filter, max_results=PAGE
        )
        return await self._call(lambda: list(client.list(request=request)))

    async def make_template(self, template: compute_v1.InstanceTemplate) -> None:
        """Make an instance template, unless there is one of that name."""
        client = self._client(compute_v1.InstanceTemplatesClient)
        request = compute_v1.InsertInstanceTemplateRequest(
            project=self.project, instance_template_resource=template
        )
        try:
            begun = await self._call(lambda: client.insert_unary(request=request, retry=None))
        except Conflict:
            return
        await self._finish(begun, None)

    def machine_type(self, zone: str, name: str) -> compute_v1.MachineType:
        """What a machine type has. Blocks; for the start of the service."""
        return self._client(compute_v1.MachineTypesClient).get(
            project=self.project, zone=zone, machine_type=name
        )

    async def advice(
        self, region: str, body: compute_v1.CapacityAdviceRequest
    ) -> compute_v1.CapacityAdviceResponse:
        """How likely machines are to be had, and to stay."""
        client = self._client(compute_v1.AdviceClient)
        request = compute_v1.CapacityAdviceRpcRequest(
            project=self.project, region=region, capacity_advice_request_resource=body
        )
        return await self._call(lambda: client.capacity(request=request))

    async def _finish(
        self, operation: compute_v1.Operation, zone: str | None
    ) -> compute_v1.Operation:
        pause, waited, name = self.first_pause, 0.0, operation.name
        world = self._client(compute_v1.GlobalOperationsClient)
        zonal = self._client(compute_v1.ZoneOperationsClient)

        def look() -> compute_v1.Operation:
            if zone is None:
                return world.get(project=self.project, operation=name)
            return zonal.get(project=self.project, zone=zone, operation=name)

        while operation.status != DONE:
            if waited > self.patience:
                raise StartError(f"the operation {name} is not over after {waited:.0f} s")
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(self.longest_pause, 1.5 * pause)
            operation = await self._call(look)
        return operation
