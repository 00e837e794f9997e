"""Logging in and the commands around it, without a platform."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.cli import base, login, model, project, template, token, user, webhook, workspace
from shoal.cli.app import main
from shoal.client import Client
from shoal.credentials import find_token, remember

URL = "http://there:1"
Asked = list[tuple[str, str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """What the platform was asked; it answers with whatever the commands read."""
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path))
    monkeypatch.delenv("SHOAL_TOKEN", raising=False)
    found: Asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        found.append((request.method, request.url.path, body))
        return httpx.Response(
            200,
            json={
                "token": "shoal_t", "user": "ada", "expires_at": 0.0, "role": "admin",
                "workspaces": {"red": "viewer"}, "items": [], "members": {"ada": "admin"},
                "next": None, "version": 1, "versions": [], "secret": "s",
            },
        )  # fmt: skip

    def made() -> Client:
        return Client(URL, transport=httpx.MockTransport(answer))

    for module in (base, login, model, project, template, token, user, webhook, workspace):
        monkeypatch.setattr(module, "client", made)
    return found


def run(*arguments: str, stdin: str = "", patch: Callable[..., None]) -> None:
    patch("sys.stdin", io.StringIO(stdin))
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0


@pytest.mark.parametrize(
    ("command", "stdin", "method", "path", "body"),
    [
        ("login ada", "pw\n", "POST", "/v1/login", {"user": "ada", "password": "pw"}),
        ("login ada --setup s", "pw\n", "POST", "/v1/login/setup",
         {"token": "s", "user": "ada", "password": "pw"}),
        ("logout", "", "POST", "/v1/logout", None),
        ("whoami", "", "GET", "/v1/me", None),
        ("audit", "", "GET", "/v1/audit", None),
        ("token create ci --scope read --days 2", "", "POST", "/v1/tokens",
         {"name": "ci", "scope": "read", "workspace": None, "days": 2}),
        ("token revoke t1", "", "DELETE", "/v1/tokens/t1", None),
        ("user create bob --role viewer", "pw\n", "POST", "/v1/users",
         {"user": "bob", "password": "pw", "role": "viewer"}),
        ("user role bob none", "", "PATCH", "/v1/users/bob", {"role": None}),
        ("user disable bob", "", "PATCH", "/v1/users/bob", {"enabled": False}),
        ("user password", "old\nnew\n", "PUT", "/v1/users/ada/password",
         {"password": "new", "old": "old"}),
        ("user password bob", "new\n", "PUT", "/v1/users/bob/password",
         {"password": "new", "old": None}),
        ("user rm bob", "", "DELETE", "/v1/users/bob", None),
        ("project ls --workspace red --all", "", "GET", "/v1/workspaces/red/projects", None),
        ("project create cells", "", "POST", "/v1/workspaces/default/projects",
         {"name": "cells", "description": ""}),
        ("project rename cells tissue --workspace red", "", "PATCH",
         "/v1/workspaces/red/projects/cells", {"name": "tissue"}),
        ("project describe cells HeLa", "", "PATCH", "/v1/workspaces/default/projects/cells",
         {"description": "HeLa"}),
        ("project archive cells", "", "PATCH", "/v1/workspaces/default/projects/cells",
         {"archived": True}),
        ("project unarchive cells", "", "PATCH", "/v1/workspaces/default/projects/cells",
         {"archived": False}),
        ("workspace create red", "", "POST", "/v1/workspaces",
         {"workspace": "red", "description": ""}),
        ("workspace show red", "", "GET", "/v1/workspaces/red", None),
        ("workspace grant red bob editor", "", "PUT", "/v1/workspaces/red/members/bob",
         {"role": "editor"}),
        ("workspace revoke red bob", "", "DELETE", "/v1/workspaces/red/members/bob", None),
        ("workspace secret set red KEY", "s=1 \n", "PUT", "/v1/workspaces/red/secrets/KEY",
         {"value": "s=1 "}),
        ("template set big FILE --workspace red", "", "PUT", "/v1/workspaces/red/templates/big",
         {"max_restarts": 1}),
        ("template rm big", "", "DELETE", "/v1/workspaces/default/templates/big", None),
        ("model create cells", "", "POST", "/v1/workspaces/default/models",
         {"name": "cells", "description": ""}),
        ("model add cells e-0-1-4 --notes good", "", "POST",
         "/v1/workspaces/default/models/cells/versions",
         {"checkpoint_id": "e-0-1-4", "notes": "good"}),
        ("model stage cells 2 production", "", "PATCH",
         "/v1/workspaces/default/models/cells/versions/2", {"stage": "production"}),
        ("model show cells", "", "GET", "/v1/workspaces/default/models/cells", None),
        ("webhook create https://x/ --event trial. --event search.", "", "POST",
         "/v1/workspaces/default/webhooks", {"url": "https://x/", "events": ["trial.", "search."]}),
        ("webhook rm w1", "", "DELETE", "/v1/workspaces/default/webhooks/w1", None),
        ("workspace secret rm red KEY", "", "DELETE", "/v1/workspaces/red/secrets/KEY", None),
    ],
)  # fmt: skip
def test_what_a_command_asks(
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
    stdin: str,
    method: str,
    path: str,
    body: Any,
) -> None:
    file = tmp_path / "part.yaml"
    file.write_text("max_restarts: 1\n")
    words = command.replace("FILE", str(file)).split()
    run(*words, stdin=stdin, patch=monkeypatch.setattr)
    assert asked[-1] == (method, path, body)
    capsys.readouterr()
    run(*words, "--json", stdin=stdin, patch=monkeypatch.setattr)
    json.loads(capsys.readouterr().out)
    assert asked[-1] == (method, path, body)


def test_a_login_is_kept_for_its_platform_alone(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remember("http://other:1", "o")
    run("login", "ada", stdin="pw\n", patch=monkeypatch.setattr)
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert find_token(URL + "/") == "shoal_t"
    assert find_token("http://other:1") == "o"
    assert find_token("http://nowhere:1") is None
    monkeypatch.setenv("SHOAL_TOKEN", "env")
    assert find_token(URL) == "env"
    monkeypatch.delenv("SHOAL_TOKEN")
    run("logout", patch=monkeypatch.setattr)
    assert find_token(URL) is None
    assert find_token("http://other:1") == "o"


def test_the_platform_of_this_machine_needs_no_login(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path))
    monkeypatch.delenv("SHOAL_TOKEN", raising=False)
    (tmp_path / "token").write_text("shoal_local\n")
    (tmp_path / "local.json").write_text(json.dumps({"url": URL, "state_dir": str(tmp_path)}))
    assert find_token(URL) == "shoal_local"
    assert find_token("http://elsewhere:1") is None
