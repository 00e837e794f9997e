"""The Terraform files, as far as can be checked without a provider and an account: they parse, hang
together, and give no more rights than the driver uses."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest

from shoal_provisioner.core.pools import Gcp
from shoal_provisioner.shell.notices import METHOD

FOLDER = Path(__file__).parents[3] / "deploy" / "terraform"
TEXT = "\n".join(file.read_text() for file in sorted(FOLDER.glob("*.tf")))
Body = dict[str, Any]


def plain(value: Any) -> Any:
    """A parsed value without the quotes that the parser keeps."""
    match value:
        case dict():
            return {plain(k): plain(v) for k, v in value.items() if not k.startswith("__")}
        case list():
            return [plain(item) for item in value]
        case str():
            return value.removeprefix('"').removesuffix('"')
        case _:
            return value


FILES = [plain(hcl2.loads(file.read_text())) for file in sorted(FOLDER.glob("*.tf"))]


def blocks(kind: str) -> Iterator[tuple[str, Body]]:
    """Blocks of a kind, by their labels joined with a dot."""
    for file in FILES:
        for block in file.get(kind, []):
            for label, body in block.items():
                if kind == "resource":
                    yield from ((f"{label}.{name}", found) for name, found in body.items())
                else:
                    yield label, body


RESOURCES = dict(blocks("resource"))
VARIABLES, OUTPUTS = dict(blocks("variable")), dict(blocks("output"))

CALLS = {
    "instances.bulkInsert": (
        "compute.disks.create", "compute.images.useReadOnly",
        "compute.instanceTemplates.useReadOnly", "compute.instances.create",
        "compute.instances.setLabels", "compute.instances.setMetadata",
        "compute.instances.setServiceAccount", "compute.instances.setTags",
        "compute.networks.use", "compute.subnetworks.use", "compute.subnetworks.useExternalIp",
    ),
    "instances.delete": ("compute.instances.delete",),
    "instances.get": ("compute.instances.get",),
    "instances.aggregatedList": ("compute.instances.list",),
    "instanceTemplates.insert": (
        "compute.instanceTemplates.create", "compute.instanceTemplates.get",
    ),
    "machineTypes.get": ("compute.machineTypes.get",),
    "zoneOperations.get, list": ("compute.zoneOperations.get", "compute.zoneOperations.list"),
    "globalOperations.get": ("compute.globalOperations.get",),
    "advice.capacity": ("compute.advice.capacity",),
}  # fmt: skip
"""What the driver calls (`drivers/gcp/api.py`), and what that needs."""


def test_all_that_the_provisioner_and_workers_need_is_there():
    needed = {
        "google_service_account.provisioner", "google_service_account.worker",
        "google_project_iam_custom_role.provisioner", "google_project_iam_member.provisioner",
        "google_service_account_iam_member.as_worker", "google_compute_network.shoal",
        "google_compute_subnetwork.machines", "google_compute_router_nat.out",
        "google_compute_firewall.among_workers", "google_logging_project_sink.preempted",
        "google_pubsub_topic.preempted", "google_pubsub_topic_iam_member.sink",
        "google_pubsub_subscription.preempted", "google_pubsub_subscription_iam_member.provisioner",
        "google_storage_bucket.shoal", "google_storage_bucket_iam_member.worker",
        "google_secret_manager_secret.join", "google_secret_manager_secret_iam_member.worker",
        "google_project_service.used",
    }  # fmt: skip
    assert needed - RESOURCES.keys() == set()


def test_what_is_referred_to_is_there_and_variables_are_used_and_described():
    used = re.findall(r"\b(google_\w+\.\w+)", TEXT)
    assert {name for name in used if name.split(".")[1] != "com"} <= RESOURCES.keys()
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == VARIABLES.keys()
    for name, body in (*VARIABLES.items(), *OUTPUTS.items()):
        assert body.get("description"), name
    assert all("type" in body for body in VARIABLES.values())


def test_the_provisioner_may_do_what_it_calls_and_nothing_else():
    role = RESOURCES["google_project_iam_custom_role.provisioner"]
    needed = {permission for permissions in CALLS.values() for permission in permissions}
    assert sorted(role["permissions"]) == sorted(needed)


def test_no_account_has_a_right_to_more_than_one_thing():
    members = [name for name in RESOURCES if name.split(".")[0].endswith("iam_member")]
    granted = {name: RESOURCES[name]["role"] for name in members}
    assert granted == {
        "google_project_iam_member.provisioner": "${google_project_iam_custom_role.provisioner.id}",
        "google_service_account_iam_member.as_worker": "roles/iam.serviceAccountUser",
        "google_pubsub_topic_iam_member.sink": "roles/pubsub.publisher",
        "google_pubsub_subscription_iam_member.provisioner": "roles/pubsub.subscriber",
        "google_storage_bucket_iam_member.worker": "roles/storage.objectUser",
        "google_secret_manager_secret_iam_member.worker": "roles/secretmanager.secretAccessor",
    }
    everybody = {"allUsers", "allAuthenticatedUsers"}
    assert everybody & {RESOURCES[name]["member"] for name in members} == set()


def test_nobody_gets_in_from_outside():
    for name, body in RESOURCES.items():
        if name.startswith("google_compute_firewall.") and body["direction"] == "INGRESS":
            assert body["source_tags"], name
            assert "source_ranges" not in body
    assert RESOURCES["google_storage_bucket.shoal"]["public_access_prevention"] == "enforced"
    assert RESOURCES["google_compute_network.shoal"]["auto_create_subnetworks"] is False


def test_the_sink_passes_on_what_is_heard():
    text = RESOURCES["google_logging_project_sink.preempted"]["filter"]
    assert f'protoPayload.methodName="{METHOD}"' in text
    assert 'resource.type="gce_instance"' in text


def test_the_output_is_a_pools_description():
    given = OUTPUTS["pool"]["value"]
    assert given.keys() <= Gcp.model_fields.keys()
    needed = {name for name, field in Gcp.model_fields.items() if field.is_required()}
    assert needed - given.keys() == {"worker_nats_url"}


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_the_files_are_well_formed(tmp_path):
    for file in FOLDER.glob("*.tf"):
        shutil.copy(file, tmp_path)
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
