"""Compute Engine's REST API, as far as the provisioner speaks it, with faults to order.

Shapes: https://cloud.google.com/compute/docs/reference/rest/v1. Operations take `polls` looks until
they are over; request ids are honoured; lists come in pages; filters are `labels.x=y` and, for
operations, the regular expressions of `(field eq "re2")`.
"""

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]


class Refusal(Exception):  # noqa: N818
    """An HTTP error, in the API's form."""

    def __init__(self, status: int, message: str, reason: str = "invalid") -> None:
        self.status = status
        errors = [{"message": message, "domain": "global", "reason": reason}]
        self.body = {"error": {"code": status, "message": message, "errors": errors}}


@dataclass
class FakeCompute:
    """A project's zones. Its fields are the faults; all may be changed at any time."""

    polls: int = 1
    """Looks at an operation until it is over."""
    page: int = 500
    """The most items that a page has, whatever is asked for."""
    stock: dict[str, int] = field(default_factory=dict)
    """Zone to the machines that it still has; a zone that is not named has enough."""
    quota: dict[str, int] = field(default_factory=dict)
    """Region to the machines that are still allowed there."""
    quota_early: bool = False
    """Refuse at once what has no quota, rather than in the operation."""
    failing: list[tuple[int, str]] = field(default_factory=list)
    """Status and reason for the next calls, one each; status 0: no answer at all."""
    denied: bool = False
    refuses_notice: bool = False
    """As a project does that has no access to longer preemption notice."""
    obtainability: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Zone to its score and the uptime, e.g. `10800s`."""
    shapes: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"n1-standard-8": (8, 30720), "a2-highgpu-1g": (12, 87040)}
    )
    """Machine type to its vCPUs and MiB of memory."""

    instances: dict[tuple[str, str], Json] = field(default_factory=dict)
    templates: dict[str, Json] = field(default_factory=dict)
    operations: dict[str, Json] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    _left: dict[str, int] = field(default_factory=dict)
    _requests: dict[str, str] = field(default_factory=dict)
    _count: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # What happens to machines

    def preempt(self, name: str, *, lingers: bool = False) -> None:
        """Take a machine back: an operation says so, and it stops; then it is deleted, unless it
        `lingers`."""
        with self._lock:
            key = next(key for key in self.instances if key[1] == name)
            self._operation(key[0], "compute.instances.preempted", name)
            self.instances[key]["status"] = "STOPPING"
            if not lingers:
                del self.instances[key]

    def vanish(self, name: str) -> None:
        """A machine is gone, and nobody took it back."""
        with self._lock:
            self.instances = {k: v for k, v in self.instances.items() if k[1] != name}

    def foreign(self, zone: str, name: str, **labels: str) -> None:
        """A machine that somebody else made."""
        self._make(zone, name, {"labels": labels, "scheduling": {}})

    # The API

    def answer(self, method: str, path: str, query: dict[str, str], body: Json) -> Json:
        with self._lock:
            self.calls.append(f"{method} {path}")
            if self.failing:
                status, reason = self.failing.pop(0)
                raise Refusal(status, f"fault to order: {reason}", reason)
            if self.denied:
                raise Refusal(403, "Required 'compute.instances.create' permission", "forbidden")
            for verb, pattern, handler in ROUTES:
                match = re.fullmatch(pattern, path)
                if verb == method and match:
                    result: Json = getattr(self, handler)(query, body, **match.groupdict())
                    return result
        raise Refusal(404, f"no such method: {method} {path}", "notFound")

    def bulk_insert(self, query: dict[str, str], body: Json, zone: str) -> Json:
        if again := self._requests.get(query.get("requestId", "")):
            return self.operations[again]
        template = body["sourceInstanceTemplate"].rpartition("/")[2]
        if template not in self.templates:
            raise Refusal(404, f"instanceTemplates/{template} was not found", "notFound")
        names, region = list(body["perInstanceProperties"]), zone.rpartition("-")[0]
        if int(body["count"]) != len(names):
            raise Refusal(400, "count must be the number of perInstanceProperties")
        if taken := [name for name in names if (zone, name) in self.instances]:
            raise Refusal(409, f"{taken[0]} already exists", "alreadyExists")
        stock, quota = self.stock.get(zone, 10**6), self.quota.get(region, 10**6)
        if self.quota_early and quota < len(names):
            raise Refusal(403, "Quota 'PREEMPTIBLE_NVIDIA_V100_GPUS' exceeded", "quotaExceeded")
        made = names[: min(stock, quota)]
        for name in made:
            self._make(zone, name, self.templates[template]["properties"], "STAGING")
        self.stock[zone], self.quota[region] = stock - len(made), quota - len(made)
        operation = self._operation(zone, "bulkInsert", made[0] if made else "", self.polls)
        if len(made) < int(body.get("minCount", body["count"])):
            code = "QUOTA_EXCEEDED" if quota <= stock else "ZONE_RESOURCE_POOL_EXHAUSTED"
            errors = [
                {"code": "VM_MIN_COUNT_NOT_REACHED", "message": "Requested minimum count"},
                {"code": code, "message": f"The zone '{zone}' cannot fulfill the request now."},
            ]
            operation["error"] = {"errors": errors}
        self._requests[query.get("requestId", "")] = operation["name"]
        return operation

    def delete(self, query: dict[str, str], body: Json, zone: str, name: str) -> Json:
        if again := self._requests.get(query.get("requestId", "")):
            return self.operations[again]
        if (zone, name) not in self.instances:
            raise Refusal(404, f"instances/{name} was not found", "notFound")
        self.instances[zone, name]["status"] = "STOPPING"
        operation = self._operation(zone, "delete", name, self.polls)
        self._requests[query.get("requestId", "")] = operation["name"]
        return operation

    def get(self, query: dict[str, str], body: Json, zone: str, name: str) -> Json:
        if (zone, name) not in self.instances:
            raise Refusal(404, f"instances/{name} was not found", "notFound")
        return self.instances[zone, name]

    def aggregated(self, query: dict[str, str], body: Json) -> Json:
        label, _, value = query["filter"].removeprefix("labels.").partition("=")
        fit = [i for i in self.instances.values() if i["labels"].get(label) == value]
        begin = int(query.get("pageToken", "0"))
        end = begin + min(self.page, int(query.get("maxResults", "500")))
        items: Json = {"zones/empty-a": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}}
        for one in fit[begin:end]:
            scope = "zones/" + one["zone"].rpartition("/")[2]
            items.setdefault(scope, {"instances": []})["instances"].append(one)
        return {"items": items, **({"nextPageToken": str(end)} if end < len(fit) else {})}

    def insert_template(self, query: dict[str, str], body: Json) -> Json:
        scheduling = body["properties"].get("scheduling", {})
        if self.refuses_notice and "preemptionNoticeDuration" in scheduling:
            raise Refusal(400, "Invalid value for field 'scheduling.preemptionNoticeDuration'")
        if body["name"] in self.templates:
            raise Refusal(409, f"{body['name']} already exists", "alreadyExists")
        self.templates[body["name"]] = body
        return self._operation("", "insert", body["name"], self.polls)

    def operation(self, query: dict[str, str], body: Json, name: str, zone: str = "") -> Json:
        if name not in self.operations:
            raise Refusal(404, f"operations/{name} was not found", "notFound")
        found = self.operations[name]
        self._left[name] -= 1
        if self._left[name] <= 0:
            found["status"] = "DONE"
            self._settle(zone, found)
        return found

    def list_operations(self, query: dict[str, str], body: Json, zone: str) -> Json:
        wanted = re.findall(r'\((\w+) eq "([^"]*)"\)', query["filter"])
        here = [o for o in self.operations.values() if o.get("zone", "").endswith(f"/{zone}")]
        fit = [o for o in here if all(re.fullmatch(text, o[name]) for name, text in wanted)]
        return {"items": fit}

    def machine_type(self, query: dict[str, str], body: Json, zone: str, name: str) -> Json:
        if name not in self.shapes:
            raise Refusal(404, f"machineTypes/{name} was not found", "notFound")
        cpus, memory_mb = self.shapes[name]
        return {"name": name, "guestCpus": cpus, "memoryMb": memory_mb}

    def capacity(self, query: dict[str, str], body: Json, region: str) -> Json:
        zone = body["distributionPolicy"]["zones"][0]["zone"].rpartition("/")[2]
        score, uptime = self.obtainability.get(zone, (0.9, "21600s"))
        scores = {"obtainability": score, "estimatedUptime": uptime}
        return {"recommendations": [{"scores": scores, "shards": [{"zone": f"zones/{zone}"}]}]}

    def _settle(self, zone: str, operation: Json) -> None:
        name = operation["targetLink"].rpartition("/")[2]
        if operation["operationType"] == "delete":
            self.instances.pop((zone, name), None)
        elif operation["operationType"] == "bulkInsert":
            for key, instance in self.instances.items():
                if key[0] == zone and instance["status"] == "STAGING":
                    instance["status"] = "RUNNING"

    def _operation(self, zone: str, kind: str, target: str, polls: int = 0) -> Json:
        name = f"operation-{next(self._count)}"
        where = f"projects/lab/zones/{zone}" if zone else "projects/lab/global"
        self.operations[name] = {
            "name": name,
            "operationType": kind,
            "status": "RUNNING" if polls else "DONE",
            "targetLink": f"https://compute/{where}/instances/{target}",
            **({"zone": f"https://compute/projects/lab/zones/{zone}"} if zone else {}),
        }
        self._left[name] = polls
        return self.operations[name]

    def _make(self, zone: str, name: str, properties: Json, status: str = "RUNNING") -> None:
        self.instances[zone, name] = {
            "id": str(next(self._count)),
            "name": name,
            "status": status,
            "zone": f"https://compute/projects/lab/zones/{zone}",
            "labels": properties.get("labels", {}),
            "scheduling": properties.get("scheduling", {}),
            "machineType": properties.get("machineType", ""),
        }


_ZONE = r"/compute/v1/projects/lab/zones/(?P<zone>[^/]+)"
_WORLD = r"/compute/v1/projects/lab"
ROUTES = [
    ("POST", _ZONE + r"/instances/bulkInsert", "bulk_insert"),
    ("GET", _ZONE + r"/instances/(?P<name>[^/]+)", "get"),
    ("GET", _ZONE + r"/machineTypes/(?P<name>[^/]+)", "machine_type"),
    ("DELETE", _ZONE + r"/instances/(?P<name>[^/]+)", "delete"),
    ("GET", _ZONE + r"/operations/(?P<name>[^/]+)", "operation"),
    ("GET", _ZONE + r"/operations", "list_operations"),
    ("GET", _WORLD + r"/global/operations/(?P<name>[^/]+)", "operation"),
    ("GET", _WORLD + r"/aggregated/instances", "aggregated"),
    ("POST", _WORLD + r"/global/instanceTemplates", "insert_template"),
    ("POST", _WORLD + r"/regions/(?P<region>[^/]+)/advice/capacity", "capacity"),
]


@contextlib.contextmanager
def serving(fake: FakeCompute) -> Iterator[str]:
    """The address at which the fake listens."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _go(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(sent) if sent else {}
            try:
                status, said = 200, fake.answer(self.command, unquote(url.path), query, body)
            except Refusal as refusal:
                status, said = refusal.status, refusal.body
            if status == 0:
                self.close_connection = True
                return
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _go  # noqa: N815

        def log_message(self, *args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
