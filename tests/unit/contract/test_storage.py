"""Which addresses of storage can be used, in one sentence."""

import pytest

from shoal_contract.storage import unusable


def load(scheme: str) -> None:
    """Knows files, and has no package for clouds."""
    if scheme in ("gs", "s3", "abfs"):
        raise ImportError("install something")
    if scheme not in ("file", "simplecache"):
        raise ValueError(scheme)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/data/x", None),
        ("file:///data/x", None),
        ("simplecache::file:///x", None),
        ("gs://b/x", "gs:// needs `pip install 'shoal-sdk[gcs]'`"),
        ("simplecache::s3://b/x", "s3:// needs `pip install 'shoal-sdk[s3]'`"),
        ("abfs://b", "abfs:// cannot be used: install something"),
        ("gss://b", "gss:// is no kind of storage that fsspec knows"),
    ],
)
def test_why_storage_cannot_be_used(url: str, words: str | None) -> None:
    assert unusable(url, load, "shoal-sdk") == words
