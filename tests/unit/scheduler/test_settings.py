import pytest

from shoal_scheduler.shell.pools import PoolsError, read_pools


def test_pools_are_read_as_they_are_or_from_a_file(tmp_path):
    text = "pools: {gpus: {policy: fair_share, fit: worst}}\nworkspaces: {bio: {max_slots: 3}}"
    (tmp_path / "pools.yaml").write_text(text)
    for found in (read_pools(text), read_pools(str(tmp_path / "pools.yaml"))):
        assert found.of("gpus").policy == "fair_share"
        assert found.of("gpus").fitting.worst
        assert found.of("other").policy == "fifo"
        assert (found.quota("bio"), found.quota("chem")) == (3, None)
    assert read_pools("{}").pools == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pools: {a: {policy: best}}", r"pools\.a\.policy"),
        ("{", "no YAML"),
        ("nowhere.yaml", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(text, words):
    with pytest.raises(PoolsError, match=words):
        read_pools(text)
