"""Whatever people do to a search, and whatever its trials report, it ends."""

import math
import random

import pytest
from unit.searcher.pool import Pool
from unit.searcher.test_every_method import ALL, begun, holding, quality
from unit.searcher.test_laws import check

ACTS = ["report"] * 4 + ["save"] * 2 + ["end", "grant", "pause", "resume", "tick", "change", "stop"]
OUTCOMES = ["failed", "lost", "preempted", "stopped", "completed"]


def act(pool: Pool, rng: random.Random) -> None:
    """Anything that may happen."""
    pool.now += rng.random() * 10
    what, held = rng.choice(ACTS), holding(pool)
    match what:
        case "tick":
            pool.tick()
        case "pause" | "resume":
            pool.ask(what)
        case "change":
            pool.change(max_concurrent_trials=rng.choice([0, 1, 2, 5]))
            pool.change(max_trials=rng.choice([1, 5, 12, 25]))
        case "stop":
            pool.stop(rng.randrange(len(pool.trials) * 3))
        case _ if held:
            n = rng.choice(held)
            time = pool.targets[f"e-{n}"] + rng.choice([0, 0, 0, -1, 3, 30])
            if what == "report":
                more = {"size": rng.random()} if rng.random() < 0.8 else {}
                pool.report(n, time, rng.choice([rng.random(), 1.0, math.nan, None]), **more)
            elif what == "save":
                pool.save(n, max(0, pool.trial(n).time) * 10)
            elif what == "grant":
                pool.grant(n, pool.now)
            else:
                pool.end(n, rng.choice(OUTCOMES))


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_a_search_ends(case: str, seed: int) -> None:
    rng = random.Random(f"{case} {seed}")
    changes: dict[str, object] = {"max_restarts": seed % 3}
    if seed % 2 and case not in ("single", "random-cmaes"):
        changes["objectives"] = [{"metric": "size", "smaller_is_better": False}]
        changes["early_stopping"] = [{"name": "median", "min_trials": 1}]
    pool = begun(case, Pool(grants=seed < 3), **changes)
    for _ in range(80):
        if pool.over:
            break
        act(pool, rng)
        check(pool.runner.state)
    if not pool.over:
        pool.ask("resume")
    if not pool.over:
        pool.train(quality, saves=True)
    assert pool.searches["e"] in ("completed", "failed")
    over = {"completed", "stopped", "failed", "cancelled"}
    assert set(pool.trials.values()) <= over
    pool.check_replay()
