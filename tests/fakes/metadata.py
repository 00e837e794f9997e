"""A machine's metadata server, and the one call of Secret Manager that a machine makes.

https://cloud.google.com/compute/docs/metadata/querying-metadata and
https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

INSTANCE = "/computeMetadata/v1/instance/"


@dataclass
class FakeMetadata:
    """What a machine's server knows, and the secrets that its account may read."""

    values: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    account_token: str = "of-the-account"
    failing: int = 0
    """Answers that are 503 before the first good one."""
    asked: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def change(self, name: str, value: str) -> None:
        """Give a value, and tell who waits for another one."""
        with self._changed:
            self.values[name] = value
            self._changed.notify_all()

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, str]:
        """Status and body."""
        self.asked.append(path)
        if self.failing:
            self.failing -= 1
            return 503, ""
        if path.startswith(INSTANCE):
            name, _, query = path.removeprefix(INSTANCE).partition("?")
            self._wait(name, dict(parse_qsl(query)))
            return self._metadata(name, headers)
        name = path.removeprefix("/v1/").removesuffix("/versions/latest:access")
        if headers.get("authorization") != f"Bearer {self.account_token}":
            return 401, "{}"
        if name not in self.secrets:
            return 404, "{}"
        data = base64.b64encode(self.secrets[name].encode()).decode()
        return 200, json.dumps({"name": f"{name}/versions/1", "payload": {"data": data}})

    def _wait(self, name: str, query: dict[str, str]) -> None:
        """Until the value is another one than that of `last_etag`, or without it than now."""
        if query.get("wait_for_change") != "true":
            return
        with self._changed:
            known = query.get("last_etag", etag(self.values[name]))
            seconds = float(query["timeout_sec"])
            self._changed.wait_for(lambda: etag(self.values[name]) != known, seconds)

    def _metadata(self, name: str, headers: dict[str, str]) -> tuple[int, str]:
        if headers.get("metadata-flavor") != "Google":
            return 403, ""
        if name == "service-accounts/default/token":
            return 200, json.dumps({"access_token": self.account_token, "token_type": "Bearer"})
        return (200, self.values[name]) if name in self.values else (404, "")


def etag(value: str) -> str:
    """Names a value."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]


@contextlib.contextmanager
def serving(fake: FakeMetadata) -> Iterator[str]:
    """`host:port` at which it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = fake.answer(self.path, headers)
            self.send_response(status)
            self.send_header("ETag", etag(body))
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
