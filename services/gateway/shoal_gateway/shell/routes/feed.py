"""`/v1/feed`: where programs that speak NATS subscribe to events."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends

from shoal_contract.subjects import feed_stream
from shoal_gateway.core.feed import events, inbox, readable
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.answers.base import told
from shoal_gateway.shell.answers.health import Feed
from shoal_gateway.shell.auth import caller
from shoal_gateway.shell.parts import Parts, parts
from shoal_gateway.shell.problems import ProblemError

router = APIRouter(prefix="/v1")


@router.get("/feed", responses=told(Feed, 200, 404))
async def feed(
    use: Annotated[Parts, Depends(parts)], who: Annotated[Caller, Depends(caller)]
) -> dict[str, Any]:
    """Where the feed is, and what the caller may read there; 404 if this platform has none."""
    settings = use.settings
    if not settings.feed_url:
        detail = "This platform has no feed; /v1/events tells what happens."
        raise ProblemError(404, detail, kind="urn:shoal:problem:unknown")
    mine = readable(who)
    names = sorted(use.ledger.state.workspaces) if mine == ["*"] else mine
    return {
        "url": settings.feed_public_url or _bare(settings.feed_url),
        "inbox": inbox(who.token_id),
        "workspaces": {
            name: {"stream": feed_stream(name), "subjects": events(name)} for name in names
        },
    }


def _bare(url: str) -> str:
    """An address without the user and the password in it."""
    found = urlsplit(url)
    return found._replace(netloc=found.netloc.rpartition("@")[2]).geturl()
