"""What Compute Engine says of spot machines before they are asked for.

https://cloud.google.com/compute/docs/instances/view-vm-availability
"""

import logging
from collections.abc import Sequence

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud import compute_v1

from shoal_provisioner.core.messages import Obtainability
from shoal_provisioner.core.offers import Offer
from shoal_provisioner.core.pools import Pool
from shoal_provisioner.core.prices import region_of
from shoal_provisioner.shell.drivers.gcp.api import Compute

log = logging.getLogger(__name__)


async def advice(
    compute: Compute, pool: Pool, offers: Sequence[Offer], slots: int
) -> list[Obtainability]:
    """How likely machines with so many slots are to be had by each spot offer, and how long they
    stay. Offers of which nothing can be learned are left out: advice is no condition of anything.
    """
    found: list[Obtainability] = []
    for offer in offers:
        if not offer.spot:
            continue
        try:
            answer = await compute.advice(region_of(offer.zone), _question(offer, slots))
        except (GoogleAPICallError, GoogleAuthError, OSError) as error:
            log.info("no advice on %s: %s", offer.key, error)
            continue
        for best in list(answer.recommendations)[:1]:
            seconds = best.scores.estimated_uptime.removesuffix("s")
            found.append(
                Obtainability(
                    pool=pool.name,
                    offer=offer.key,
                    obtainability=round(best.scores.obtainability, 2),
                    uptime=float(seconds) if seconds.isdecimal() else None,
                )
            )
    return found


def _question(offer: Offer, slots: int) -> compute_v1.CapacityAdviceRequest:
    selection = compute_v1.CapacityAdviceRequestInstanceFlexibilityPolicyInstanceSelection(
        machine_types=[offer.kind.machine_type]
    )
    if offer.kind.gpu and not offer.kind.built_in:
        selection.guest_accelerators = [
            compute_v1.AcceleratorConfig(
                accelerator_type=offer.kind.gpu, accelerator_count=offer.kind.gpu_count
            )
        ]
    zone = compute_v1.CapacityAdviceRequestDistributionPolicyZoneConfiguration(
        zone=f"zones/{offer.zone}"
    )
    return compute_v1.CapacityAdviceRequest(
        size=-(-slots // offer.slots),
        instance_flexibility_policy=compute_v1.CapacityAdviceRequestInstanceFlexibilityPolicy(
            instance_selections={"machine": selection}
        ),
        instance_properties=compute_v1.CapacityAdviceRequestInstanceProperties(
            scheduling=compute_v1.CapacityAdviceRequestInstancePropertiesScheduling(
                provisioning_model="SPOT"
            )
        ),
        distribution_policy=compute_v1.CapacityAdviceRequestDistributionPolicy(
            target_shape="ANY_SINGLE_ZONE", zones=[zone]
        ),
    )
