"""The cloud's own notice that it takes this machine away.

Compute Engine answers a waiting request at the moment when it happens:
https://cloud.google.com/compute/docs/instances/create-use-spot#detect-preemption
"""

import asyncio
import logging
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

PATH = "/computeMetadata/v1/instance/preempted"
PAUSE = 5.0
"""Seconds before a metadata server that did not answer is asked again."""
HANGING = 60
"""Seconds for which one request waits."""


async def preempted(url: str) -> None:
    """Return when the metadata server at `url` (`http://metadata.google.internal`) says that this
    machine is preempted."""
    query = ""  # as it is now; then, when it changes
    while True:
        try:
            async with asyncio.timeout(HANGING + 10):
                if await _asked(url, PATH + query):
                    return
            query = f"?wait_for_change=true&timeout_sec={HANGING}"
        except (OSError, ValueError) as error:  # a timeout is an OSError
            log.info("the metadata server at %s does not answer: %r", url, error)
            await asyncio.sleep(PAUSE)


async def _asked(url: str, path: str) -> bool:
    """Whether the answer is yes. Raises OSError, and ValueError for what is no answer."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
    try:
        request = (
            f"GET {path} HTTP/1.0\r\nHost: {where.hostname}\r\nMetadata-Flavor: Google\r\n\r\n"
        )
        writer.write(request.encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    status = head.split(b" ", 2)[1:2]
    if status != [b"200"]:
        raise ValueError(f"the status is {status}")
    return body.strip().upper() == b"TRUE"
