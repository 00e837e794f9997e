"""Puts the gateway together and runs it: the web server and the projector, side by side."""

import argparse
import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import fsspec
import uvicorn

from shoal_bus.bus import Bus, BusSettings
from shoal_bus.cancelling import end
from shoal_bus.sealing import Seal
from shoal_bus.service import run_service
from shoal_contract.storage import unusable
from shoal_gateway.settings import Settings
from shoal_gateway.shell import feed, openapi, owner, rebuild
from shoal_gateway.shell.app import create_app, routes
from shoal_gateway.shell.artifacts import Artifacts
from shoal_gateway.shell.bundles import Bundles
from shoal_gateway.shell.directory import Directory
from shoal_gateway.shell.history_files import Files
from shoal_gateway.shell.history_reader import HistoryReader
from shoal_gateway.shell.history_writer import HistoryWriter
from shoal_gateway.shell.ledger import Ledger
from shoal_gateway.shell.oidc import Provider
from shoal_gateway.shell.parts import Parts
from shoal_gateway.shell.projector import Projector
from shoal_gateway.shell.recent import Recent
from shoal_gateway.shell.redis_store import RedisStore
from shoal_gateway.shell.webhooks import Webhooks

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A server that leaves signals, and when the process ends, to the service."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop.

        Raises:
            OSError: it cannot listen there; the log says why.
        """
        try:
            await super().serve(sockets)
        except SystemExit as error:
            where = f"{self.config.host}:{self.config.port}"
            raise OSError(f"the gateway cannot listen on {where}") from error


def provider_of(settings: Settings) -> Provider | None:
    """The OpenID Connect provider of the settings, if they name one."""
    if not settings.oidc_issuer:
        return None
    back = f"{settings.public_url.rstrip('/')}/v1/login/oidc/callback"
    secret = settings.oidc_client_secret
    return Provider(settings.oidc_issuer, settings.oidc_client_id, secret, back)


async def main(settings: Settings) -> None:
    """Run until cancelled, or until a part fails."""
    bus = await Bus.connect(
        BusSettings(nats_url=settings.nats_url, service="gateway", replica=settings.replica)
    )
    store = RedisStore(settings.redis_url)
    files = Files(settings.storage_url, cached=settings.metrics_cache)
    projector = Projector(bus, store, files, memory=settings.metrics_memory)
    artifacts = Artifacts(settings.storage_url, settings.max_artifact)
    writer = HistoryWriter(
        bus, store, files, artifacts, seconds=settings.metrics_seconds,
        memory=settings.metrics_memory,
    )  # fmt: skip
    bundles = Bundles(settings.storage_url, settings.max_bundle)
    ledger = Ledger(bus, settings.publish_timeout)
    history = HistoryReader(Recent(store), files)
    key = settings.secret_key.get_secret_value()
    parts = Parts(settings, bus, store, projector, bundles, artifacts, ledger,
                  Directory(store, bus), history, provider_of(settings),
                  Seal(key) if key else None)  # fmt: skip
    server = Server(
        uvicorn.Config(
            create_app(parts),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            forwarded_allow_ips=settings.forwarded_allow_ips,
            timeout_graceful_shutdown=1,
        )
    )
    tasks: list[asyncio.Task[None]] = []
    serving: list[asyncio.Task[None]] = []
    try:
        await ledger.begin()
        tasks.append(asyncio.create_task(Webhooks(parts, settings.networks).run()))
        tasks += [asyncio.create_task(ledger.run()), asyncio.create_task(projector.run())]
        tasks.append(asyncio.create_task(writer.run()))
        tasks.append(asyncio.create_task(feed.run(parts)))
        if settings.token_file is None:
            await _patiently(lambda: owner.open_setup(ledger))
        else:
            whose = (ledger, settings.owner, settings.token_file, settings.host)
            await _patiently(lambda: owner.log_in(*whose))
            tasks.append(asyncio.create_task(owner.stay_logged_in(*whose)))
        serving.append(asyncio.create_task(server.serve()))
        done, _ = await asyncio.wait([*tasks, *serving], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        parts.stopping.set()
        server.should_exit = True
        await end(tasks)
        if serving:
            await asyncio.wait(serving, timeout=5.0)  # it answers what was asked, and ends
        await end(serving)
        files.close()
        await store.close()
        await bus.close()


async def _patiently(start: Callable[[], Awaitable[None]]) -> None:
    """Do what a start needs, however long NATS takes to answer."""
    while True:
        try:
            return await start()
        except TimeoutError:
            log.warning("NATS does not answer in time: the gateway begins when it does")


def command() -> None:
    """`shoal-gateway`: serve, or rebuild the read models."""
    parser = argparse.ArgumentParser(prog="shoal-gateway", description=__doc__)
    parser.set_defaults(files=False)
    rooms = parser.add_subparsers(dest="command", metavar="COMMAND")
    rooms.add_parser("serve", help="run the gateway (this is also done without a command)")
    again = rooms.add_parser(
        "rebuild", help="make the read models anew from the streams, while they are being read"
    )
    again.add_argument(
        "--files", action="store_true", help="write the files of metric points anew, too"
    )
    rooms.add_parser("openapi", help="print the OpenAPI document of the routes")
    rooms.add_parser("feed-key", help="draw a key and a password for the feed's NATS server")
    options, settings = parser.parse_args(), Settings()
    if options.command == "openapi":
        sys.stdout.write(openapi.text(routes().openapi()))
        return
    if options.command == "feed-key":
        sys.stdout.write(feed.drawn())
        return
    why = unusable(settings.storage_url, fsspec.get_filesystem_class, "shoal-gateway")
    if why is not None:
        sys.exit(f"shoal-gateway: SHOAL_STORAGE_URL: {why}")
    if options.command == "rebuild":
        work = partial(rebuild.main, settings, files_too=options.files)
        run_service(work, "gateway-rebuild", settings.replica)
    else:
        run_service(lambda: main(settings), "gateway", settings.replica)


if __name__ == "__main__":
    command()
