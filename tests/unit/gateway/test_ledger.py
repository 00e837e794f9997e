"""Who may do what: the ledger's decisions, and what a token allows."""

import itertools
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal_contract.envelope import Envelope
from shoal_contract.events.access import UserRemoved
from shoal_contract.roles import Role
from shoal_gateway.core.ledger import Refusal, State, decide, evolve
from shoal_gateway.core.ledger import commands as c
from shoal_gateway.core.ledger.caller import Caller, caller_of
from shoal_gateway.core.ledger.decide import MAX_TOKENS
from shoal_gateway.core.ledger.done import REMEMBERED, Done
from shoal_gateway.core.ledger.projects import AddProject, ChangeProject

VIEWER, EDITOR, ADMIN = Role


def told(*commands: c.Command, state: State | None = None) -> State:
    """The state after commands, none of which may be refused."""
    state = state or State()
    for command in commands:
        events = decide(state, command)
        assert not isinstance(events, Refusal), events
        for event in events:
            state = evolve(state, event)
    return state


def token(user: str, sha256: str = "h", **changes: object) -> c.IssueToken:
    values: dict[str, object] = {
        "token_id": f"t-{sha256}", "user": user, "sha256": sha256, "kind": "api", "name": "n",
        "scope": ADMIN, "workspace": None, "at": 0.0, "expires_at": 100.0,
    }  # fmt: skip
    return c.IssueToken(**{**values, **changes})  # type: ignore[arg-type]


def user(name: str, role: Role | None = None) -> c.AddUser:
    return c.AddUser(name, "hash", role, 0.0)


def test_the_first_administrator_shows_a_printed_token_and_only_once() -> None:
    state = told(c.OpenSetup("one"), c.OpenSetup("two"))
    assert isinstance(decide(state, c.SetUp("three", "ada", "p", 1.0)), Refusal)
    state = told(c.SetUp("two", "ada", "p", 1.0), state=state)
    assert state.users["ada"].role is ADMIN
    assert decide(state, c.OpenSetup("four")) == []
    assert isinstance(decide(state, c.SetUp("one", "eve", "p", 1.0)), Refusal)


def test_names_are_unique_and_nobody_is_nobody() -> None:
    state = told(user("ada"))
    for name in ("ada", "nobody"):
        assert isinstance(decide(state, user(name)), Refusal)
    state = told(c.AddUser("bob", None, None, 0.0, subject="https://i#7"), state=state)
    assert isinstance(decide(state, c.AddUser("bob2", None, None, 0.0, "https://i#7")), Refusal)


def test_the_last_administrator_stays() -> None:
    state = told(user("ada", ADMIN), user("bob", EDITOR))
    for command in (c.SetRole("ada", None), c.SetEnabled("ada", False), c.RemoveUser("ada")):
        assert isinstance(decide(state, command), Refusal)
    told(c.SetRole("bob", ADMIN), c.RemoveUser("ada"), state=state)
    assert list(state.users) == ["bob"]


def test_what_ends_a_token() -> None:
    state = told(user("root", ADMIN), user("ada", ADMIN), token("ada"))
    assert caller_of(state, "h", 99.9) is not None
    assert caller_of(state, "h", 100.0) is None
    assert caller_of(state, "g", 0.0) is None
    told(c.SetEnabled("ada", False), state=state)
    assert caller_of(state, "h", 1.0) is None
    told(c.SetEnabled("ada", True), state=state)
    assert caller_of(state, "h", 1.0) is not None
    told(c.RevokeToken("t-h"), state=state)
    assert caller_of(state, "h", 1.0) is None
    assert isinstance(decide(state, c.RevokeToken("t-h")), Refusal)
    told(token("ada", "l", kind="login"), token("ada", "a"), c.SetPassword("ada", "x"), state=state)
    assert list(state.tokens) == ["a"]
    told(c.RemoveUser("ada"), state=state)
    assert not state.tokens


def test_expired_tokens_are_forgotten_and_live_ones_are_bounded() -> None:
    state = told(user("ada"), *(token("ada", f"s{i}") for i in range(MAX_TOKENS)))
    assert isinstance(decide(state, token("ada", "more")), Refusal)
    told(token("ada", "later", at=100.0, expires_at=200.0), state=state)
    assert list(state.tokens) == ["later"]


@pytest.mark.parametrize(
    ("cluster", "member", "scope", "workspace", "expected"),
    [
        (None, None, ADMIN, None, None),
        (None, EDITOR, ADMIN, None, EDITOR),
        (VIEWER, EDITOR, ADMIN, None, EDITOR),
        (ADMIN, VIEWER, ADMIN, None, ADMIN),
        (ADMIN, None, VIEWER, None, VIEWER),
        (ADMIN, None, EDITOR, "w", EDITOR),
        (ADMIN, ADMIN, ADMIN, "other", None),
        (VIEWER, None, ADMIN, "w", VIEWER),
        (None, ADMIN, EDITOR, "w", EDITOR),
    ],
)
def test_the_role_in_a_workspace(
    cluster: Role | None,
    member: Role | None,
    scope: Role,
    workspace: str | None,
    expected: Role | None,
) -> None:
    state = told(
        user("root", ADMIN), user("ada", cluster),
        c.AddWorkspace("w", "", "root", 0.0), c.AddWorkspace("other", "", "root", 0.0),
        c.SetMember("w", "ada", member), token("ada", scope=scope, workspace=workspace),
    )  # fmt: skip
    caller = caller_of(state, "h", 1.0)
    assert caller is not None
    assert caller.role_in("w") == expected
    assert caller.sees_all == (cluster is not None and workspace is None)


def project(name: str, id: str) -> AddProject:
    return AddProject("default", id, name, "", "ada", 1.0)


def change(name: str, **news: object) -> ChangeProject:
    values: dict[str, object] = {"new_name": None, "description": None, "archived": None, **news}
    return ChangeProject("default", name, **values)  # type: ignore[arg-type]


def test_a_project_keeps_its_id_whatever_it_is_called() -> None:
    state = told(project("cells", "p1"), change("cells", new_name="tissue", archived=True))
    found = state.workspaces["default"].projects["p1"]
    assert (found.name, found.archived, found.by) == ("tissue", True, "ada")
    state = told(project("cells", "p2"), change("tissue", archived=False), state=state)
    assert not found.archived
    assert decide(state, change("tissue", archived=False, new_name="tissue")) == []
    for command in (
        project("cells", "p3"),
        project("more", "p2"),
        change("tissue", new_name="cells"),
        change("none", description="x"),
        change("default", new_name="other"),
        change("default", archived=True),
        AddProject("none", "p4", "x", "", "ada", 1.0),
    ):
        assert isinstance(decide(state, command), Refusal), command
    assert not isinstance(decide(state, change("default", description="x")), Refusal)


def test_what_was_done_is_known_for_a_day() -> None:
    done = Done()

    def note(cause: str | None, time: float, name: str) -> None:
        event = UserRemoved(user=name)
        done.add(Envelope(id=name, source="s", time=time, event=event, cause=cause))

    note("one", 0.0, "a")
    note("one", 1.0, "b")
    note(None, 2.0, "c")
    note("two", REMEMBERED, "d")
    assert done.of("one") == [UserRemoved(user="a"), UserRemoved(user="b")]
    assert done.of("none") is None
    note(None, REMEMBERED + 0.5, "e")
    assert done.of("one") is None
    assert done.of("two") == [UserRemoved(user="d")]


def test_a_trial_may_touch_its_own_experiment_alone() -> None:
    trial = Caller("e1-0", "", None, {"w": EDITOR}, experiment="e1")
    assert trial.may(EDITOR, "w", "e1")
    assert not trial.may(ADMIN, "w", "e1")
    assert not trial.may(VIEWER, "w", "e2")
    assert not trial.may(VIEWER, "w")
    assert not trial.somewhere(VIEWER)
    assert not Caller("e", "", ADMIN, experiment="e1").rules(VIEWER)


def test_roles_cover_those_before_them() -> None:
    for one, other in itertools.product(Role, Role):
        assert one.covers(other) == (tuple(Role).index(one) >= tuple(Role).index(other))


NAMES = st.sampled_from(["ada", "bob", "nobody", "default", "w"])
VALUES = {
    "user": NAMES, "admin": NAMES, "workspace": NAMES, "name": NAMES, "token_id": NAMES,
    "sha256": NAMES, "password_hash": st.just("p"), "role": st.sampled_from([None, *Role]),
    "scope": st.sampled_from(Role), "kind": st.sampled_from(["login", "api"]),
    "enabled": st.booleans(), "description": st.just(""),
    "config": st.just({"seed": 1}), "events": st.just(("trial.",)), "sealed": st.just("s"),
    "by": NAMES, "experiment_id": NAMES, "checkpoint_id": NAMES,
    "url": st.just("u"), "notes": st.sampled_from(["", "n"]), "version": st.integers(0, 3),
    "stage": st.sampled_from([None, "staging", "production"]), "at": st.floats(0, 10),
    "expires_at": st.floats(0, 20), "subject": st.just(None), "project_id": NAMES,
    "new_name": st.sampled_from([None, "ada", "default", "w"]),
    "archived": st.sampled_from([None, True, False]),
}  # fmt: skip
COMMANDS = st.one_of(
    *(
        st.builds(cls, **{name: VALUES[name] for name in cls.__dataclass_fields__})
        for cls in get_args(c.Command)
    )
)


@settings(max_examples=200)
@given(st.lists(COMMANDS, max_size=40))
def test_whatever_is_asked_the_ledger_stays_sound(commands: list[c.Command]) -> None:
    state, log = State(), []
    for command in commands:
        found = decide(state, command)
        if isinstance(found, Refusal):
            continue
        log += found
        for event in found:
            state = evolve(state, event)
        if isinstance(command, c.SetRole | c.SetEnabled | c.RemoveUser | c.SetMember):
            assert decide(state, command) == [] or isinstance(decide(state, command), Refusal)
        assert all(t.user in state.users for t in state.tokens.values())
        assert all(m in state.users for w in state.workspaces.values() for m in w.members)
        assert "default" in state.workspaces
        assert "nobody" not in state.users
        for workspace in state.workspaces.values():
            names = [project.name for project in workspace.projects.values()]
            assert len(set(names)) == len(names)
            assert workspace.projects["default"].name == "default"
            assert not workspace.projects["default"].archived
        for model in state.catalog.models.values():
            assert [v.version for v in model.versions] == list(range(1, len(model.versions) + 1))
            assert sum(v.stage == "production" for v in model.versions) <= 1
    again = State()
    for event in log:
        again = evolve(again, type(event).model_validate_json(event.model_dump_json()))
    assert again == state
