"""NVIDIA's management library, where there is one.

https://docs.nvidia.com/deploy/nvml-api/
"""

import contextlib
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def nvml() -> Iterator[ModuleType | None]:
    """NVML, or None without it or without a driver."""
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()
