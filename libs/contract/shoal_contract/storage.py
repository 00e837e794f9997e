"""Addresses of storage: which can be used, and what they need."""

from collections.abc import Callable

EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3"}
"""What our distributions call the packages for a kind of storage."""


def unusable(url: str, load: Callable[[str], object], distribution: str) -> str | None:
    """Why storage at `url` cannot be used, if so. `load` (`fsspec.get_filesystem_class`) knows a
    scheme, or raises ImportError or ValueError; `distribution` is to be installed."""
    for link in url.split("::"):
        scheme = link.partition("://")[0] if "://" in link or "::" in url else "file"
        try:
            load(scheme)
        except ImportError as error:
            if scheme not in EXTRAS:
                return f"{scheme}:// cannot be used: {error}"
            return f"{scheme}:// needs `pip install '{distribution}[{EXTRAS[scheme]}]'`"
        except ValueError:
            return f"{scheme}:// is no kind of storage that fsspec knows"
    return None
