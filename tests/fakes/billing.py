"""The Cloud Billing Catalogue's list of SKUs, in pages.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
PATH = "/v1/services/6F81-5844-456A/skus"


def sku(
    description: str,
    price: float,
    *,
    usage: str = "OnDemand",
    group: str = "CPU",
    unit: str = "h",
    regions: tuple[str, ...] = ("us-central1",),
) -> Json:
    """One SKU, with a price in USD a unit."""
    nanos = round(price * 1e9)
    money = {"currencyCode": "USD", "units": str(nanos // 10**9), "nanos": nanos % 10**9}
    return {
        "name": "services/6F81-5844-456A/skus/0000-0000-0000",
        "description": description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Compute",
            "resourceGroup": group,
            "usageType": usage,
        },
        "serviceRegions": list(regions),
        "pricingInfo": [
            {
                "effectiveTime": "2026-01-01T00:00:00Z",
                "pricingExpression": {
                    "usageUnit": unit,
                    "tieredRates": [{"startUsageAmount": 0, "unitPrice": money}],
                },
            }
        ],
    }


@dataclass
class FakeBilling:
    """What it has, and how it fails."""

    skus: list[Json]
    page: int = 5000
    """The most SKUs that a page has, whatever is asked for."""
    failing: list[int] = field(default_factory=list)
    """Status of the next answers."""
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Json]:
        """Status and body."""
        self.asked.append(query)
        if self.failing:
            return self.failing.pop(0), {"error": {"code": 503, "message": "not now"}}
        if path != PATH:
            return 404, {"error": {"code": 404, "message": "no such service"}}
        begin = int(query.get("pageToken", "0"))
        end = begin + min(self.page, int(query.get("pageSize", "5000")))
        more = str(end) if end < len(self.skus) else ""
        return 200, {"skus": self.skus[begin:end], "nextPageToken": more}


@contextlib.contextmanager
def serving(fake: FakeBilling) -> Iterator[str]:
    """The address at which it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, body = fake.answer(url.path, query)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
