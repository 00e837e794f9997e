"""`/v1/nodes`, `/v1/instances`: machines."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from shoal_gateway.core import keys, rows
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.machines import Instances, Nodes
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.paging import Paging, paging
from shoal_gateway.shell.parts import Parts, parts

router = APIRouter(prefix="/v1")


@router.get("/nodes", responses=told(Nodes))
async def nodes(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """Nodes, in the order in which they were admitted, with the use of their slots."""
    page = await paging.members(use.store, keys.NODES)
    found = await use.store.rows([keys.node(i) for i in page["items"]])
    allocations = list((await use.store.row(keys.ALLOCATIONS)).values())
    items = rows.nodes(found, allocations)
    seen = [n | {"trials": await use.directory.seen(who, n["trials"])} for n in items]
    return page | {"items": seen}


@router.get("/instances", responses=told(Instances))
async def instances(
    who: Annotated[Caller, Depends(caller)],
    use: Annotated[Parts, Depends(parts)],
    paging: Annotated[Paging, Depends(paging)],
) -> dict[str, Any]:
    """Machines that the provisioner asked for, in that order."""
    page = await paging.members(use.store, keys.INSTANCES)
    found = await use.store.rows([keys.instance(i) for i in page["items"]])
    return page | {"items": [await use.directory.machine(who, row) for row in found]}
