"""Cut anywhere, a training ends as if it had not been; more slots see the same global batches."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the gangs of `gangs.py` left behind."""
    folder = tmp_path_factory.mktemp("gangs")
    script = Path(__file__).parent / "gangs.py"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env=env, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {**json.loads(done.stdout), "stderr": done.stderr[-3000:]}


@pytest.mark.parametrize("slots", [1, 2])
def test_a_training_that_was_cut_ends_bit_for_bit_the_same(found: Any, slots: int) -> None:
    about = found[str(slots)]
    whole, *cuts, last = about["codes"]
    assert whole == last == [0] * slots, (about, found["stderr"])
    assert all(-9 in codes and 0 not in codes for codes in cuts), (about, found["stderr"])
    assert about["half"] > 0, about  # saves were under way
    assert about["weights"][0] == about["weights"][1], about


def test_any_number_of_slots_sees_the_same_global_batches(found: Any) -> None:
    assert found["others"] == [[0, 0, 0], [0]], found["stderr"]
    one, *others = found["orders"]
    assert all(len(batch) == 10 for batch in one)
    assert [other == one for other in others] == [True] * 4


def test_a_model_in_pieces_is_saved_and_goes_on_with_other_slots(found: Any) -> None:
    assert found["sharded"] == [[0, 0], [0]], found["stderr"]
