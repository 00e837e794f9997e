"""What a workspace's experiments do: `python dashboard.py nats://127.0.0.1:4223 cells`."""

import asyncio
import json
import os
import sys

import nats
from nats.js.api import ConsumerConfig

import shoal

(feed, workspace), token = sys.argv[1:], os.environ["SHOAL_TOKEN"]
inbox = f"_INBOX_{shoal.Client().me()['token_id']}"  # nobody else may read what it is sent
rows = {}


def show(message):
    happened, data = message.headers["ce-type"], json.loads(message.data)
    if (name := data.get("experiment_id")) is None:
        return  # an order to a node, which names an allocation
    row = rows.setdefault(name, {"results": 0, "metric": None})
    row["last"] = happened.removeprefix("shoal.v1.")
    if row["last"] == "trial.measured":
        row.update(results=row["results"] + 1, metric=data["metric"])
    print("\033[2J\033[H", *(f"{name}  {row}" for name, row in rows.items()), sep="\n", flush=True)


async def main():
    start = 1
    while True:  # the server ends a connection after a while, to look at the token anew
        line = await nats.connect(feed, token=token, inbox_prefix=inbox)
        config = ConsumerConfig(deliver_policy="by_start_sequence", opt_start_seq=start)
        reader = await line.jetstream().subscribe(f"shoal.feed.{workspace}.>", config=config,
            stream=f"SHOAL_FEED_{workspace}", ordered_consumer=True)  # fmt: skip
        async for message in reader.messages:
            show(message)
            start = message.metadata.sequence.stream + 1


asyncio.run(main())
