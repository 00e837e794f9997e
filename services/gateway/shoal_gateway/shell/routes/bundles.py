"""`/v1/bundles`: code."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.experiments import StoredBundle
from shoal_gateway.shell.parts import Parts, parts

router = APIRouter(prefix="/v1")


@router.post("/bundles", status_code=201, responses=told(StoredBundle, 201, 413, 422))
async def store(request: Request, use: Annotated[Parts, Depends(parts)]) -> dict[str, Any]:
    """Store a tar.gz, tar or zip; the body is the file. Safe to repeat."""
    bundle = await use.bundles.store(request.stream())
    return bundle.model_dump()
