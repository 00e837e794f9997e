"""The application: routes, and errors as problems."""

from fastapi import FastAPI

from shoal_gateway.shell import problems
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.routes import (
    bundles,
    events,
    experiments,
    health,
    logs,
    pool,
    requests,
    submissions,
    trial_requests,
    trials,
)


def create_app(parts: Parts) -> FastAPI:
    """The application, on top of connections that exist."""
    app = FastAPI(title="Shoal", version="1", docs_url="/docs", redoc_url=None)
    app.state.parts = parts
    problems.install(app)
    for room in (
        bundles, submissions, experiments, trials, trial_requests, requests, logs, pool, events,
        health,
    ):  # fmt: skip
        app.include_router(room.router)
    return app
