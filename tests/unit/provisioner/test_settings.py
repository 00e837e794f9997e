import json

import pytest

from shoal_provisioner.settings import Settings
from shoal_provisioner.shell.pools import PoolsError, read_pools


def test_the_default_is_one_local_pool():
    (pool,) = read_pools(Settings().pools)
    assert (pool.name, pool.driver, pool.min_instances, pool.max_instances) == (
        "default",
        "local",
        0,
        2,
    )
    assert (pool.slots_per_instance, pool.max_idle_period) == (2, 60)


def test_pools_come_from_a_file_or_from_the_text(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOAL_POOLS", json.dumps([{"name": "a"}]))
    assert [pool.name for pool in read_pools(Settings().pools)] == ["a"]
    file = tmp_path / "pools.yaml"
    file.write_text("- name: a\n- name: b\n  max_instances: 3\n")
    assert [pool.max_instances for pool in read_pools(str(file))] == [2, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/no/such/file", "/no/such/file cannot be read"),
        ("[{", "neither YAML nor JSON"),
        ("[{}]", "0.name: field required"),
        ('[{"name": "a", "slots": 3}]', "0.slots: extra inputs"),
        ('[{"name": "a", "max_instances": 1, "min_instances": 2}]', "must not exceed"),
        ('[{"name": "a"}, {"name": "a"}]', "two pools have the same name"),
        ("[]", "no pool"),
    ],
)
def test_a_fault_is_named_with_its_place(text, words):
    with pytest.raises(PoolsError, match=words.replace("[", r"\[")):
        read_pools(text)


def test_a_file_that_is_no_list_is_refused(tmp_path):
    file = tmp_path / "pools.json"
    file.write_text('{"name": "a"}')
    with pytest.raises(PoolsError, match="list"):
        read_pools(str(file))
