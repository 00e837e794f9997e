"""Which machines to give up: those whose loss costs least, gang by gang."""

from collections.abc import Sequence

from shoal_provisioner.core.state import Instance


def victims(machines: Sequence[Instance], count: int, now: float) -> list[Instance]:
    """At least `count` machines to stop, if there are as many. Those without work first, the
    dearest of them before the others; then gangs, whole, by what each of their machines would lose.
    A gang that lost one machine has lost all, so its others may as well be stopped."""
    if count <= 0:
        return []
    idle = sorted((m for m in machines if not m.works), key=lambda m: -m.price)
    chosen = idle[:count]
    gangs = sorted(
        _gangs([m for m in machines if m.works]),
        key=lambda gang: sum(m.at_risk(now) for m in gang) / len(gang),
    )
    for gang in gangs:
        if len(chosen) >= count:
            break
        chosen += gang
    return chosen


def _gangs(machines: Sequence[Instance]) -> list[list[Instance]]:
    """Machines that share an allocation, directly or by others."""
    groups: list[tuple[set[str], list[Instance]]] = []
    for machine in machines:
        names, members = set(machine.shares), [machine]
        apart = []
        for group in groups:
            if group[0] & names:
                names |= group[0]
                members = group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (names, members)]
    return [members for _, members in groups]
