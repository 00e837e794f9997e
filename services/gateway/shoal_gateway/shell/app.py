"""The application: routes, and errors as problems."""

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from shoal_gateway.shell import problems
from shoal_gateway.shell.auth import Gate
from shoal_gateway.shell.freshness import AFTER, AS_OF, Freshness
from shoal_gateway.shell.measures import Measuring
from shoal_gateway.shell.mlflow import artifacts as mlflow_artifacts
from shoal_gateway.shell.mlflow import routes as mlflow
from shoal_gateway.shell.openapi import Application
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.queries import known
from shoal_gateway.shell.routes import (
    audit,
    bundles,
    checkpoints,
    cost,
    events,
    experiment_changes,
    experiments,
    feed,
    health,
    login,
    logs,
    metrics,
    models,
    oidc,
    pool,
    pools,
    projects,
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
    app.add_middleware(Freshness, projector=parts.projector, ledger=parts.ledger, seconds=seconds)
    app.add_middleware(Gate, parts=parts)
    if origins := parts.settings.origins:
        app.add_middleware(  # before the gate: what browsers ask beforehand shows no token
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Idempotency-Key", "If-Match", "Last-Event-ID", AFTER],
            expose_headers=["ETag", "Location", "Retry-After", AFTER, AS_OF],
        )
    app.add_middleware(Measuring, measures=parts.measures)
    problems.install(app)
    return app


def routes() -> FastAPI:
    """The routes alone, which is what the OpenAPI document is about."""
    app = Application(
        title="Shoal",
        version="1",
        docs_url="/docs",
        redoc_url=None,
        dependencies=[Depends(authorise), Depends(known)],
    )
    for room in (
        mlflow,  # first, since runs log often, and routes are tried one after another
        mlflow_artifacts,
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
        pool,
        pools,
        cost,
        queue,
        events,
        feed,
        health,
        login,
        oidc,
        users,
        tokens,
        workspaces,
        projects,
        secrets,
        templates,
        models,
        webhooks,
        audit,
    ):
        app.include_router(room.router)
    app.include_router(mlflow.elsewhere)
    return app
