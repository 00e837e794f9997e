"""`/mlflow/api/2.0/mlflow-artifacts/…`: files that runs log, as MLflow's client sends them to a
server that keeps them for it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from shoal_contract.roles import Role
from shoal_gateway.shell.answers import tracking as answers
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.artifacts import Place, place_in
from shoal_gateway.shell.mlflow.book import Its
from shoal_gateway.shell.mlflow.errors import MlflowRoute
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import unknown

router = APIRouter(
    prefix="/mlflow/api/2.0/mlflow-artifacts", route_class=MlflowRoute, tags=["mlflow"]
)
Use = Annotated[Parts, Depends(parts)]
BYTES: Any = {200: {"content": {"application/octet-stream": {}}}}


@router.get("/artifacts", responses=told(answers.MlflowFiles))
async def files(its: Its, use: Use, path: Annotated[str, Query(max_length=1000)]) -> dict[str, Any]:
    """The files in a folder of a run's artifacts, `<experiment>/<run>/artifacts/…`."""
    return {"files": await use.artifacts.files(await _its(its, path, Role.VIEWER))}


@router.put("/artifacts/{path:path}", responses=told(answers.MlflowNothing, 200, 413))
async def upload(path: str, request: Request, its: Its, use: Use) -> dict[str, Any]:
    """Keep a file; the body is the file. Another one at its place is replaced."""
    place = await _its(its, path, Role.EDITOR)
    await use.artifacts.store(place, request.stream())
    if await use.store.deleted_among([place.experiment_id]):  # meanwhile
        await asyncio.to_thread(use.artifacts.remove_all, place.experiment_id)
        raise unknown("run", place.run_id)
    return {}


@router.get("/artifacts/{path:path}", response_class=StreamingResponse, responses=BYTES)
async def download(path: str, its: Its, use: Use) -> StreamingResponse:
    """A file."""
    size, pieces = await use.artifacts.read(await _its(its, path, Role.VIEWER))
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)


async def _its(its: Its, path: str, role: Role) -> Place:
    """Where a path leads, if the caller has the role. Raises ProblemError."""
    place = place_in(path)
    await its.check_run(place.experiment_id, place.run_id, role)
    return place
