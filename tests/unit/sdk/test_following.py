"""A reader of events whose stream ends with a problem."""

import json

import httpx

from shoal import Client

STREAM = {"content-type": "text/event-stream"}


def event(number: int) -> str:
    return f"id: {number}\nevent: trial.created\ndata: {json.dumps({'id': f'e{number}'})}\n\n"


PROBLEM = 'event: problem\ndata: {"type": "urn:shoal:problem:away", "detail": "It ends."}\n\n'


def test_what_ends_too_early_is_gone_on_with() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        text = event(1) + PROBLEM if len(asked) == 1 else event(2)
        return httpx.Response(200, headers=STREAM, text=text)

    with Client("http://x", token="t", transport=httpx.MockTransport(answer)) as client:
        found = list(client.events(workspace="cells", since="start", follow=False))
    assert [e["id"] for e in found] == ["e1", "e2"]
    assert [r.headers.get("last-event-id") for r in asked] == [None, "1"]
    assert all(r.url.params["workspace"] == "cells" for r in asked)
