"""The house's rules that no linter can show."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    p
    for top in ("libs", "services", "local", "simulator")
    for p in (ROOT / top).rglob("*.py")
    if "build" not in p.parts
)
SERVICES = sorted(p.name for p in (ROOT / "services").iterdir() if p.is_dir())


def test_services_and_libs_are_folders_not_packages() -> None:
    assert SOURCES
    for folder in ("services", "libs"):
        assert not list((ROOT / folder).glob("__init__.py"))
        assert not list((ROOT / folder).glob("*/__init__.py"))


@pytest.mark.parametrize("service", SERVICES)
def test_only_settings_read_the_environment(service: str) -> None:
    readers = []
    for path in (ROOT / "services" / service).rglob("*.py"):
        if path.name == "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            reads = isinstance(node, ast.Attribute) and (
                ast.unparse(node) in ("os.environ", "os.getenv")
            )
            if reads:
                readers.append(f"{path.relative_to(ROOT)}:{node.lineno}")  # type: ignore[attr-defined]
    # The zygote does not read it: a forked rank replaces it by its own.
    forked = ("/shell/zygote.py", "/shell/script.py")
    assert [r for r in readers if not any(file in r for file in forked)] == []


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_its_page_and_its_rooms(service: str) -> None:
    folder = ROOT / "services" / service
    package = folder / f"shoal_{service}"
    assert len((folder / "README.md").read_text().split()) > 80
    for room in ("__main__.py", "settings.py", "core/__init__.py", "shell/__init__.py"):
        assert (package / room).exists(), room


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_depends_on_another(service: str) -> None:
    text = (ROOT / "services" / service / "pyproject.toml").read_text()
    assert [o for o in SERVICES if o != service and f'"shoal-{o}' in text] == []


def test_what_people_import_is_light() -> None:
    code = "import shoal, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "shoal" in loaded
    assert {"torch", "nats", "fastapi", "grpc", "redis", "optuna"} & set(loaded) == set()


def test_no_file_holds_more_than_one_idea() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES
            if (n := len(p.read_text().splitlines())) > 400}  # fmt: skip
    assert long == {}
