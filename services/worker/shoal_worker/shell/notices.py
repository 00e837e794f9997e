"""The cloud's own notice that it takes this machine away.

Compute Engine answers a waiting request at the moment when it happens:
https://cloud.google.com/compute/docs/instances/create-use-spot#detect-preemption
"""

import asyncio
import logging

import httpx

log = logging.getLogger(__name__)

PATH = "/computeMetadata/v1/instance/preempted"
PAUSE = 5.0
"""Seconds before a metadata server that did not answer is asked again."""
HANGING = 60
"""Seconds for which one request waits."""


async def preempted(url: str) -> None:
    """Return when the metadata server at `url` (`http://metadata.google.internal`) says that this
    machine is preempted.

    Each request names the answer that the last one had, so that a change between two of them is
    told at once: https://cloud.google.com/compute/docs/metadata/querying-metadata#etags
    """
    headers = {"Metadata-Flavor": "Google"}
    query: dict[str, str | int] = {}  # as it is now; then, when it changes
    async with httpx.AsyncClient(headers=headers, timeout=HANGING + 10, trust_env=False) as client:
        while True:
            try:
                answer = (await client.get(url + PATH, params=query)).raise_for_status()
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                log.info("the metadata server at %s does not answer: %r", url, error)
                await asyncio.sleep(PAUSE)
                continue
            if answer.text.strip().upper() == "TRUE":
                return
            query = {"wait_for_change": "true", "timeout_sec": HANGING}
            if etag := answer.headers.get("etag"):
                query["last_etag"] = etag
