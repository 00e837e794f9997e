import pytest
from unit.provisioner.spot import PRICES, V100, A, B, C, spot_pool

from shoal_provisioner.core.offers import best, cost_of, offers_of, pause_of, paused
from shoal_provisioner.core.state import Past

POOL = spot_pool()
OFFERS = offers_of(POOL, PRICES)
SPOTS = {offer.zone: offer for offer in OFFERS if offer.spot}


def key(zone):
    return SPOTS[zone].key


def pick(pasts=None, there=None, now=0.0):
    found = best([o for o in OFFERS if o.spot], pasts or {}, there or {}, POOL, now)
    return found.zone if found else None


def test_a_machine_costs_its_type_and_its_gpus():
    assert [(o.spot, round(o.price, 2), o.slots) for o in OFFERS[:2]] == [
        (True, 0.82, 1),
        (False, 2.86, 1),
    ]
    two = offers_of(spot_pool(kinds=[{**V100, "gpu_count": 2}]), PRICES)[0]
    assert (round(two.price, 2), two.slots) == (1.56, 2)


def test_among_equals_the_one_with_fewest_machines_is_taken():
    assert pick() == A
    assert pick(there={key(A): 2, key(B): 1, key(C): 2}) == B


def test_where_machines_are_taken_back_often_is_dear():
    assert pick({key(A): Past(preemptions=5, hours=10)}) == B
    half_a_day_ago = Past(preemptions=5, hours=10, aged_at=0)
    assert pick({key(A): half_a_day_ago}, now=10 * 86400) == A, "forgotten in time"


def test_what_is_unlikely_to_be_had_or_to_last_is_dear():
    assert pick({key(A): Past(obtainability=0.3)}) == B
    assert pick({key(A): Past(uptime=600)}) == B


def test_expected_loss_is_the_share_of_paid_time_that_preemptions_waste():
    past = Past(preemptions=0.8, hours=0, uptime=None)  # with the prior: a quarter an hour
    assert cost_of(SPOTS[A], past, POOL) == pytest.approx(0.82 * (1 + 0.25 * 330 / 3600))


def test_a_zone_without_stock_is_left_alone_and_a_region_without_quota():
    out = Past(failures=1, failed_at=0, cause="stock_out")
    assert pick({key(A): out}, now=14) == B
    assert pick({key(A): out}, now=16) == A
    short = Past(failures=1, failed_at=0, cause="quota")
    assert pick({key(A): short}, now=16) == C
    assert not paused(OFFERS[1], {key(A): short}, 1), "on demand has a quota of its own"
    assert pick({key(A): short, key(C): out}, now=1) is None


def test_pauses_grow_up_to_a_limit():
    pauses = [pause_of(Past(failures=n, cause="stock_out")) for n in (1, 2, 3, 4, 5, 6, 5000)]
    assert pauses == [15, 30, 60, 120, 240, 300, 300]
