"""The application: routes, and errors as problems."""

from fastapi import Depends, FastAPI

from shoal_gateway.shell import problems
from shoal_gateway.shell.auth import Gate
from shoal_gateway.shell.freshness import Freshness
from shoal_gateway.shell.mlflow import routes as mlflow
from shoal_gateway.shell.openapi import Application
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.routes import (
    audit,
    bundles,
    checkpoints,
    cost,
    events,
    experiment_changes,
    experiments,
    health,
    login,
    logs,
    metrics,
    models,
    oidc,
    pool,
    pools,
    queue,
    requests,
    secrets,
    submissions,
    templates,
    tokens,
    trial_requests,
    trials,
    users,
    webhooks,
    workspaces,
)
from shoal_gateway.shell.rules import authorise


def create_app(parts: Parts) -> FastAPI:
    """The application, on top of connections that exist."""
    app = routes()
    app.state.parts = parts
    seconds = parts.settings.apply_timeout
    app.add_middleware(Freshness, projector=parts.projector, seconds=seconds)
    app.add_middleware(Gate, parts=parts)
    problems.install(app)
    return app


def routes() -> FastAPI:
    """The routes alone, which is what the OpenAPI document is about."""
    app = Application(
        title="Shoal",
        version="1",
        docs_url="/docs",
        redoc_url=None,
        dependencies=[Depends(authorise)],
    )
    for room in (
        bundles,
        submissions,
        experiments,
        experiment_changes,
        trials,
        checkpoints,
        trial_requests,
        requests,
        logs,
        metrics,
        mlflow,
        pool,
        pools,
        cost,
        queue,
        events,
        health,
        login,
        oidc,
        users,
        tokens,
        workspaces,
        secrets,
        templates,
        models,
        webhooks,
        audit,
    ):
        app.include_router(room.router)
    return app
