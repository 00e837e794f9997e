"""What a token lets its holder do at the feed."""

from itertools import pairwise

import pytest

from shoal_bus.callout import Issuer
from shoal_contract.events import TrialStopped
from shoal_contract.roles import Role
from shoal_contract.subjects import feed_stream, feed_subject, feed_subjects
from shoal_gateway.core.feed import LONGEST, entry_of, inbox, readable
from shoal_gateway.core.ledger import State
from shoal_gateway.core.ledger import commands as c
from shoal_gateway.core.ledger.caller import Caller
from shoal_gateway.shell.feed import drawn

from .test_ledger import ADMIN, EDITOR, VIEWER, token, told, user


def covers(pattern: str, subject: str) -> bool:
    """Whether a NATS subject matches one with wildcards."""
    wanted, found = pattern.split("."), subject.split(".")
    for place, part in enumerate(wanted):
        if part == ">":
            return len(found) > place
        if place >= len(found) or part not in ("*", found[place]):
            return False
    return len(wanted) == len(found)


def cells_and_ants() -> State:
    """Bob may look at cells, and change ants; Ada rules; Eve has no role anywhere."""
    return told(
        user("ada", ADMIN), user("bob"), user("eve"),
        c.AddWorkspace("cells", "", "ada", 0.0), c.AddWorkspace("ants", "", "ada", 0.0),
        c.AddWorkspace("owls", "", "ada", 0.0),
        c.SetMember("cells", "bob", VIEWER), c.SetMember("ants", "bob", EDITOR),
        token("ada", "a"), token("bob", "b"), token("eve", "e"),
        token("bob", "b-ants", workspace="ants"), token("ada", "a-owls", workspace="owls"),
    )  # fmt: skip


def may(sha256: str, publish: str = "", subscribe: str = "") -> bool:
    found = entry_of(cells_and_ants(), sha256, 1.0)
    patterns = () if found is None else found.publish if publish else found.subscribe
    return any(covers(pattern, publish or subscribe) for pattern in patterns)


@pytest.mark.parametrize(
    ("sha256", "workspaces"),
    [
        ("b", {"cells", "ants"}),
        ("b-ants", {"ants"}),
        ("a-owls", {"owls"}),
        ("a", {"cells", "ants", "owls", "of-tomorrow"}),
        ("e", set()),
        ("nobody's", set()),
    ],
)
def test_a_token_reads_the_events_of_its_workspaces_alone(
    sha256: str, workspaces: set[str]
) -> None:
    for workspace in ("cells", "ants", "owls", "of-tomorrow"):
        expected = workspace in workspaces
        stream = feed_stream(workspace)
        assert may(sha256, subscribe=f"shoal.feed.{workspace}.trial.created.x") is expected
        for wish in (
            f"CONSUMER.CREATE.{stream}",
            f"CONSUMER.CREATE.{stream}.name.shoal.feed.{workspace}.>",
            f"CONSUMER.MSG.NEXT.{stream}.name",
            f"CONSUMER.INFO.{stream}.name",
        ):
            assert may(sha256, publish=f"$JS.API.{wish}") is expected
        assert may(sha256, publish=f"$JS.ACK.{stream}.name.1.2.3.4.5") is expected
        assert may(sha256, publish=f"$JS.FC.{stream}.name.x") is expected


@pytest.mark.parametrize("sha256", ["a", "b"])
def test_no_token_changes_anything(sha256: str) -> None:
    for subject in (
        "shoal.v1.trial.created.x", "shoal.feed.cells.trial.created.x", "in.x.trial.created",
        "$JS.API.STREAM.PURGE.SHOAL_FEED_cells", "$JS.API.STREAM.DELETE.SHOAL_FEED_cells",
        "$JS.API.STREAM.UPDATE.SHOAL_FEED_cells", "$JS.API.STREAM.CREATE.X",
        "$JS.API.STREAM.MSG.GET.SHOAL_FEED_cells", "$JS.API.DIRECT.GET.SHOAL_FEED_cells",
        "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.SHOAL_FEED_cells", "$JS.API.INFO",
        "$JS.API.CONSUMER.DELETE.SHOAL_FEED_cells.x", "$JS.API.CONSUMER.NAMES.SHOAL_FEED_cells",
        "$JS.API.CONSUMER.DURABLE.CREATE.SHOAL_FEED_cells.x", "$KV.shoal_leases.x",
        "$SYS.REQ.USER.AUTH", "_INBOX_t-a.x", "_INBOX_t-b.x",
    ):  # fmt: skip
        assert not may(sha256, publish=subject), subject


def test_an_inbox_is_its_tokens_own() -> None:
    assert may("b", subscribe=f"{inbox('t-b')}.1.2")
    for subject in (f"{inbox('t-b-ants')}.1.2", f"{inbox('t-a')}.1.2", "_INBOX.1.2", "in.x.y"):
        assert not may("b", subscribe=subject)
    assert not may("a", subscribe=f"{inbox('t-b')}.1.2")  # who sees all has answers of its own, too


def test_a_connection_ends_with_its_token_and_soon_in_any_case() -> None:
    state = cells_and_ants()  # tokens count until 100
    ends = [found.expires_at for now in (1.0, 99.0) if (found := entry_of(state, "b", now))]
    assert ends == [100.0, 100.0]
    assert entry_of(state, "b", 100.0) is None
    long = told(token("bob", "long", expires_at=1e6), state=state)
    found = entry_of(long, "long", 5.0)
    assert found is not None
    assert (found.name, found.expires_at) == ("bob", 5.0 + LONGEST)
    assert entry_of(told(c.RevokeToken("t-b"), state=state), "b", 1.0) is None


def test_a_trials_program_reads_no_feed() -> None:
    caller = Caller("e-0", "e-0", None, {"cells": Role.EDITOR}, experiment="e")
    assert readable(caller) == []


def test_subjects_of_the_feed() -> None:
    event = TrialStopped(experiment_id="e", trial_id="e-0", reason="pruned")
    assert feed_subject("cells", event) == "shoal.feed.cells.trial.stopped.e.e-0"
    assert covers(feed_subjects("cells"), feed_subject("cells", event))
    assert not covers(feed_subjects("cell"), feed_subject("cells", event))
    names = sorted(feed_stream(name) for name in ("a", "a_b", "a-b", "A"))
    assert all(one != other for one, other in pairwise(names))


def test_drawn_secrets_go_together() -> None:
    one, other = (dict(line.split("=", 1) for line in drawn().splitlines()) for _ in range(2))
    assert Issuer(one["SHOAL_FEED_KEY"]).public == one["SHOAL_FEED_ISSUER"]
    assert f":{one['SHOAL_FEED_PASSWORD']}@" in one["SHOAL_FEED_URL"]
    assert all(one[name] != other[name] for name in one)
