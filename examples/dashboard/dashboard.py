"""What a workspace's experiments do: `python dashboard.py cells`."""

import asyncio
import json
import os
import sys

import nats
from nats.js.api import ConsumerConfig

import shoal

feed, token = shoal.Client().feed(), os.environ["SHOAL_TOKEN"]
its = feed["workspaces"][sys.argv[1]]
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
        line = await nats.connect(feed["url"], token=token, inbox_prefix=feed["inbox"])
        config = ConsumerConfig(deliver_policy="by_start_sequence", opt_start_seq=start)
        reader = await line.jetstream().subscribe(its["subjects"], config=config,
            stream=its["stream"], ordered_consumer=True)  # fmt: skip
        async for message in reader.messages:
            show(message)
            start = message.metadata.sequence.stream + 1


asyncio.run(main())
