"""Laws that every decider obeys. A service's test subclasses `DeciderLaws`, once:

class TestScheduler(DeciderLaws):
    def decider(self): return SchedulerDecider()
    def messages(self): return st.one_of(...)      # bodies
    def check(self, state): assert ...             # invariants, after every message
"""

import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal_contract.events import Event, Refused
from shoal_contract.ids import event_id
from shoal_decider import Decider, Message, fold, settle

RELAXED = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.differing_executors],
}
Log = list[tuple[str, Event]]


def as_messages(bodies: Sequence[Any], gaps: Sequence[float] = ()) -> list[Message]:
    """Bodies as messages: ids by position, time that never goes back."""
    now, messages = 1_000_000.0, []
    for number, body in enumerate(bodies):
        now += gaps[number % len(gaps)] if gaps else 1.0
        messages.append(Message(f"message-{number}", now, body))
    return messages


def tell(decider: Decider[Any], state: Any, message: Message, log: Log) -> tuple[Any, list[Event]]:
    """Decide as a host does: refusals change nothing, all else evolves the state."""
    events = decider.decide(state, message)
    for index, event in enumerate(events):
        log.append((event_id(decider.name, message.id, index), event))
    return settle(decider, state, events), list(events)


def run(decider: Decider[Any], messages: Sequence[Message]) -> tuple[Any, Log]:
    """The state and the log after all messages."""
    state, log = decider.initial(), Log()
    for message in messages:
        state, _ = tell(decider, state, message, log)
    return state, log


def written(log: Log) -> bytes:
    """A log as bytes: ids, types and bodies in order."""
    return b"\n".join(f"{id} {event.type} {event.model_dump_json()}".encode() for id, event in log)


def kept(log: Log) -> list[Event]:
    return [event for _, event in log if not isinstance(event, Refused)]


class DeciderLaws:
    """The laws. `examples` bodies lists are drawn for each."""

    examples: ClassVar[int] = 40
    longest: ClassVar[int] = 40
    """Messages in one history."""

    def decider(self) -> Decider[Any]:
        raise NotImplementedError

    def messages(self) -> st.SearchStrategy[Any]:
        """Bodies of messages: well formed, in no sensible order."""
        raise NotImplementedError

    def check(self, state: Any) -> None:
        """Assert what holds of every state."""

    def canon(self, state: Any) -> bytes:
        """What two equal states have in common; override if a dump leaves something out."""
        return self.decider().dump(state)

    def histories(self) -> st.SearchStrategy[list[Message]]:
        gaps = st.lists(st.sampled_from([0.0, 0.5, 1.0, 5.0, 60.0, 3600.0]), min_size=1, max_size=8)
        bodies = st.lists(self.messages(), max_size=self.longest)
        return st.builds(as_messages, bodies, gaps)

    def _for_all(self, law: Any) -> None:
        settings(max_examples=self.examples, **RELAXED)(given(self.histories())(law))()

    def test_the_fold_of_the_events_is_the_state(self) -> None:
        def law(history: list[Message]) -> None:
            decider = self.decider()
            state, log = run(decider, history)
            again = fold(decider, decider.initial(), kept(log))
            assert self.canon(again) == self.canon(state)

        self._for_all(law)

    def test_the_same_message_twice_decides_nothing_new(self) -> None:
        def law(history: list[Message]) -> None:
            decider, state = self.decider(), self.decider().initial()
            for message in history:
                state, _ = tell(decider, state, message, [])
                again = decider.decide(state, message)
                news = [event for event in again if not isinstance(event, Refused)]
                assert news == [], f"a repetition of {message.body!r} decided {news}"

        self._for_all(law)

    def test_no_order_of_messages_raises_and_the_invariants_hold(self) -> None:
        def law(history: list[Message]) -> None:
            decider, state = self.decider(), self.decider().initial()
            self.check(state)
            for message in history:
                state, _ = tell(decider, state, message, [])
                self.check(state)

        self._for_all(law)

    def test_deciding_leaves_the_state_alone(self) -> None:
        def law(history: list[Message]) -> None:
            decider, state = self.decider(), self.decider().initial()
            for message in history:
                before = self.canon(state)
                decider.decide(state, message)
                assert self.canon(state) == before
                state, _ = tell(decider, state, message, [])

        self._for_all(law)

    def test_a_snapshot_changes_nothing_that_follows(self) -> None:
        def law(history: list[Message]) -> None:
            decider, half = self.decider(), len(history) // 2
            state, _ = run(decider, history[:half])
            restored = decider.load(decider.dump(state))
            assert self.canon(restored) == self.canon(state)
            plain, shot = Log(), Log()
            for message in history[half:]:
                state, _ = tell(decider, state, message, plain)
                restored, _ = tell(decider, restored, message, shot)
            assert written(shot) == written(plain)
            assert self.canon(restored) == self.canon(state)

        self._for_all(law)

    def test_the_log_does_not_depend_on_the_hash_seed(self) -> None:
        """Two interpreters with other hash seeds give the same bytes."""
        histories: list[list[Message]] = []

        def collect(history: list[Message]) -> None:
            histories.append(history)

        self._for_all(collect)
        digests = {_in_another_interpreter(self.decider(), histories, seed) for seed in (0, 1, 2)}
        assert len(digests) == 1


def _in_another_interpreter(
    decider: Decider[Any], histories: list[list[Message]], seed: int
) -> str:
    """The digest of the logs. The decider's class must be importable there."""
    cls = type(decider)
    module = sys.modules[cls.__module__]
    job = {
        "file": str(module.__file__),
        "module": cls.__module__,
        "decider": cls.__qualname__,
        "histories": [
            [(m.id, m.now, type(m.body).__module__, type(m.body).__qualname__,
              m.body.model_dump_json()) for m in history]
            for history in histories
        ],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job"
        path.write_bytes(pickle.dumps(job))
        done = subprocess.run(
            [sys.executable, __file__, str(path)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _main(path: Path) -> None:
    import importlib

    job = pickle.loads(path.read_bytes())
    sys.path.insert(0, str(Path(__file__).parent.parent))

    def find(module: str, name: str) -> Any:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found

    digest = hashlib.sha256()
    for history in job["histories"]:
        messages = [
            Message(id, now, find(module, name).model_validate_json(body))
            for id, now, module, name, body in history
        ]
        decider = find(job["module"], job["decider"])()
        state, log = run(decider, messages)
        digest.update(written(log) + b"\0" + decider.dump(state) + b"\0")
    print(digest.hexdigest())


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
