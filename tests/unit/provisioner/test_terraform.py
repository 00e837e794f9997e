"""The Terraform files, as far as can be checked without an account."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "deploy" / "terraform"
TEXT = "\n".join(file.read_text() for file in sorted(FOLDER.glob("*.tf")))


def test_what_is_referred_to_is_there():
    made = {".".join(pair) for pair in re.findall(r'^resource "(\w+)" "(\w+)"', TEXT, re.M)}
    assert made
    assert set(re.findall(r"\b(google_\w+\.\w+)", TEXT)) <= made
    variables = set(re.findall(r'^variable "(\w+)"', TEXT, re.M))
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == variables


def test_the_provisioner_has_no_role_but_its_own():
    roles = re.findall(r'role\s*=\s*"?([\w./]+)', TEXT)
    assert not [role for role in roles if role in ("roles/owner", "roles/editor")]
    assert "roles/compute" not in TEXT
    permissions = re.findall(r'"(compute\.[\w.]+)",', TEXT)
    assert len(permissions) == len(set(permissions))
    for needed in ("instances.create", "instances.delete", "zoneOperations.list", "disks.create"):
        assert f"compute.{needed}" in permissions


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_the_files_are_well_formed(tmp_path):
    for file in FOLDER.glob("*.tf"):
        shutil.copy(file, tmp_path)
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
