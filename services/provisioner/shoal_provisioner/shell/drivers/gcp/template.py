"""What a machine of a pool is: the instance template, and the script that runs its worker."""

import hashlib
import shlex

from google.cloud import compute_v1

from shoal_provisioner.core.pools import Gcp, Kind, Pool

CLUSTER, POOL, KIND = "shoal-cluster", "shoal-pool", "shoal-kind"
"""Labels; the first is the mark of ownership."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SCRIPT = """#!/bin/bash
# Runs this machine's worker. When the machine is shut down or taken back, the worker is told by
# SIGTERM, and its runs checkpoint.
set -eu
meta() {{ curl -sf -H 'Metadata-Flavor: Google' \
"http://metadata.google.internal/computeMetadata/v1/instance/$1"; }}
name=$(meta name)
id=${{name#{cluster}-}}
umask 077
cat >/run/shoal-worker.env <<END
SHOAL_NODE_ID=$id
SHOAL_INSTANCE_ID=$id
SHOAL_HOST=$(meta network-interfaces/0/ip)
SHOAL_NATS_URL=$(meta attributes/shoal-nats-url)
SHOAL_JOIN_TOKEN=$(meta attributes/shoal-join-token || true)
SHOAL_POOL={pool}
SHOAL_SLOTS={slots}
SHOAL_STATE_DIR=/var/lib/shoal
END
mkdir -p /var/lib/shoal
systemd-run --unit=shoal-worker --property=EnvironmentFile=/run/shoal-worker.env \
--property=TimeoutStopSec=60 {python} -m shoal_worker
# https://cloud.google.com/compute/docs/instances/create-use-spot#detect-preemption
systemd-run --unit=shoal-notice /bin/sh -c 'until [ "$(curl -sf -H "Metadata-Flavor: Google" \
"http://metadata.google.internal/computeMetadata/v1/instance/preempted?wait_for_change=true")" \
= TRUE ]; do sleep 1; done; systemctl kill -s TERM shoal-worker'
"""


def instance_name(cluster: str, instance_id: str) -> str:
    """A machine's name in its project."""
    return f"{cluster}-{instance_id}"


def start_script(cluster: str, pool: Pool, kind: Kind) -> str:
    """What a machine runs when it is up."""
    gcp = _of(pool)
    return _SCRIPT.format(
        cluster=cluster,
        pool=pool.name,
        slots=0 if kind.gpu else pool.slots_of(kind),  # 0: one for each GPU
        python=shlex.quote(gcp.python),
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
            items=[
                compute_v1.Items(key="startup-script", value=start_script(cluster, pool, kind)),
                compute_v1.Items(key="shoal-nats-url", value=gcp.worker_nats_url),
                compute_v1.Items(key="shoal-join-token", value=join_token),
            ]
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
