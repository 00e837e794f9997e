"""What a machine of a pool is: the instance template, and the script that runs its worker."""

import hashlib
import shlex

from google.cloud import compute_v1

from shoal_provisioner.core.pools import Gcp, Kind, Pool

CLUSTER, POOL, KIND = "shoal-cluster", "shoal-pool", "shoal-kind"
"""Labels; the first is the mark of ownership."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SCRIPT = """#!/bin/bash
# Runs this machine's worker. When the machine is shut down, the worker is told by SIGTERM; that it
# is taken back, it learns from the metadata server. Then its runs checkpoint.
set -eu
host=${{GCE_METADATA_HOST:-metadata.google.internal}}
meta() {{ curl -sf --retry 5 -H 'Metadata-Flavor: Google' \
"http://$host/computeMetadata/v1/instance/$1"; }}
token() {{
{token}
}}
name=$(meta name)
id=${{name#{cluster}-}}
state=${{SHOAL_STATE_DIR:-/var/lib/shoal}}
env=${{RUNTIME_DIRECTORY:-/run}}/shoal-worker.env
join=$(token)
umask 077
cat >"$env" <<END
SHOAL_NODE_ID=$id
SHOAL_INSTANCE_ID=$id
SHOAL_HOST=$(meta network-interfaces/0/ip)
SHOAL_NATS_URL=$(meta attributes/shoal-nats-url)
SHOAL_NATS_TOKEN=$join
SHOAL_METADATA_URL=http://$host
SHOAL_POOL={pool}
SHOAL_SLOTS={slots}
SHOAL_DEVICES={devices}
SHOAL_STATE_DIR=$state
END
mkdir -p "$state"
systemd-run --unit=shoal-worker --property=EnvironmentFile="$env" \
--property=TimeoutStopSec=60 {python} -m shoal_worker
"""
_OF_METADATA = "  meta attributes/shoal-join-token || true"
# With the machine's own account; no secret stands in a process list.
# https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
_OF_MANAGER = """\
  access=$(meta service-accounts/default/token | {python} -c \
'import json, sys; print(json.load(sys.stdin)["access_token"])')
  printf 'header = "Authorization: Bearer %s"\\n' "$access" | curl -sf --retry 5 --config - \
"${{SHOAL_SECRETS_URL:-https://secretmanager.googleapis.com}}/v1/{secret}/versions/latest:access" \
| {python} -c 'import base64, json, sys
print(base64.b64decode(json.load(sys.stdin)["payload"]["data"]).decode())'"""


def instance_name(cluster: str, instance_id: str) -> str:
    """A machine's name in its project."""
    return f"{cluster}-{instance_id}"


def start_script(cluster: str, pool: Pool, kind: Kind) -> str:
    """What a machine runs when it is up."""
    gcp = _of(pool)
    python = shlex.quote(gcp.python)
    token = _OF_METADATA
    if gcp.join_secret:
        token = _OF_MANAGER.format(python=python, secret=gcp.join_secret)
    return _SCRIPT.format(
        cluster=cluster,
        pool=pool.name,
        slots=pool.slots_of(kind),
        devices="cuda" if kind.gpu else "cpu",
        python=python,
        token=token,
    )


def template_of(
    cluster: str, pool: Pool, kind: Kind, region: str, spot: bool, join_token: str, notice: int
) -> compute_v1.InstanceTemplate:
    """The template of a pool's machines. Its name derives from what it says, so that a changed
    pool gets a new one. `region` matters where each has its subnetwork. `notice`: seconds of
    preemption notice to ask for; 0: not."""
    gcp = _of(pool)
    scheduling = compute_v1.Scheduling(
        automatic_restart=False,
        on_host_maintenance="TERMINATE" if spot or kind.gpu else "MIGRATE",
        provisioning_model="SPOT" if spot else "STANDARD",
    )
    if spot:
        scheduling.instance_termination_action = "DELETE"
        if notice:
            scheduling.preemption_notice_duration = compute_v1.Duration(seconds=notice)
    network = compute_v1.NetworkInterface(network=_global(gcp.network))
    if region in gcp.subnetworks:
        network.subnetwork = gcp.subnetworks[region]
    if gcp.external_ip:
        network.access_configs = [compute_v1.AccessConfig(type_="ONE_TO_ONE_NAT")]
    known = {
        "startup-script": start_script(cluster, pool, kind),
        "shoal-nats-url": gcp.worker_nats_url,
    }
    if join_token and not gcp.join_secret:
        known["shoal-join-token"] = join_token
    properties = compute_v1.InstanceProperties(
        machine_type=kind.machine_type,
        scheduling=scheduling,
        labels={CLUSTER: cluster, POOL: pool.name, KIND: kind.name},
        network_interfaces=[network],
        tags=compute_v1.Tags(items=list(gcp.tags)),
        service_accounts=[compute_v1.ServiceAccount(email=gcp.service_account, scopes=[SCOPE])],
        disks=[
            compute_v1.AttachedDisk(
                boot=True,
                auto_delete=True,
                initialize_params=compute_v1.AttachedDiskInitializeParams(
                    source_image=gcp.image, disk_size_gb=gcp.disk_gb, disk_type=gcp.disk_type
                ),
            )
        ],
        metadata=compute_v1.Metadata(
            items=[compute_v1.Items(key=name, value=value) for name, value in known.items()]
        ),
    )
    if kind.gpu and not kind.built_in:
        properties.guest_accelerators = [
            compute_v1.AcceleratorConfig(
                accelerator_type=kind.gpu, accelerator_count=kind.gpu_count
            )
        ]
    text = compute_v1.InstanceProperties.to_json(properties, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    return compute_v1.InstanceTemplate(
        name=f"{cluster}-{pool.name}-{digest}", properties=properties
    )


def _of(pool: Pool) -> Gcp:
    if pool.gcp is None:
        raise ValueError(f"the pool {pool.name} is not in Google Cloud")
    return pool.gcp


def _global(network: str) -> str:
    return network if "/" in network else f"global/networks/{network}"
