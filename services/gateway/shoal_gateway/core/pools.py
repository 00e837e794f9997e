"""Resource pools as readers get them: what the provisioner said, and the machines there are."""

from collections import Counter
from collections.abc import Sequence

from shoal_gateway.core.rows import Row


def pool(row: Row, machines: Sequence[Row]) -> Row:
    """A pool with its machines added up. `limits` are in force now, `configured` are its
    description's; they differ where a person changed them."""
    configured = row.get("limits") or {}
    return {
        "pool": row["pool"],
        "driver": row["driver"],
        "provisioning": row["provisioning"],
        "deadline_policy": row["deadline_policy"],
        "kinds": row["kinds"],
        "zones": row["zones"],
        "limits": configured | (row.get("changes") or {}),
        "configured": configured,
        "draining": row.get("draining", False),
        "missing_slots": row.get("missing_slots", 0),
        "would": row.get("would") or None,
        "crossed": row.get("crossed"),
        "instances": dict(Counter(machine["state"] for machine in machines)),
        "spot": sum(bool(machine.get("spot")) for machine in machines),
        "slots": sum(m.get("slots", 0) for m in machines if m["state"] == "joined"),
        "cost_per_hour": round(
            sum(m.get("price", 0.0) for m in machines if m["state"] != "requested"), 6
        ),
    }
