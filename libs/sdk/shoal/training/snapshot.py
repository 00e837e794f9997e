"""A copy of a state on the CPU, taken at once so that training may go on.

Buffers are kept from one snapshot to the next: fresh memory costs more than the copy (page
faults; on a GPU, pinning).
"""

import copy
from collections.abc import Mapping
from typing import Any


class Snapshots:
    """Takes snapshots of one state after another; each is valid until the next is taken."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[Any, ...], Any] = {}
        self._gpus: set[Any] = set()

    def take(self, state: Any) -> Any:
        """The same structure with every tensor copied to the CPU, and plain values copied."""
        import torch

        used: dict[tuple[Any, ...], Any] = {}
        self._gpus.clear()
        taken = self._copy(state, (), used, {})
        for gpu in self._gpus:  # their copies may be going on
            torch.cuda.synchronize(gpu)
        self._buffers = used
        return taken

    def _copy(
        self, value: Any, place: tuple[Any, ...], used: dict[Any, Any], seen: dict[int, Any]
    ) -> Any:
        import torch

        if isinstance(value, torch.Tensor):
            if id(value) not in seen:  # tied weights stay tied
                seen[id(value)] = used[place] = self._tensor(value.detach(), place)
            return seen[id(value)]
        if isinstance(value, Mapping):
            found: Any = copy.copy(value)  # an ordered dict keeps the attributes that torch adds
            for key, item in value.items():
                found[key] = self._copy(item, (*place, key), used, seen)
            return found
        if isinstance(value, list | tuple):
            items = [self._copy(v, (*place, n), used, seen) for n, v in enumerate(value)]
            if hasattr(value, "_fields"):
                return type(value)(*items)
            return type(value)(items)
        return copy.deepcopy(value)

    def _tensor(self, value: Any, place: tuple[Any, ...]) -> Any:
        import torch

        if value.is_cuda:
            self._gpus.add(value.device)
        buffer = self._buffers.get(place)
        if (
            buffer is None
            or (buffer.shape, buffer.dtype, buffer.layout)
            != (value.shape, value.dtype, value.layout)
            or value.layout is not torch.strided
        ):
            if value.layout is not torch.strided:
                return value.to("cpu", copy=True)
            buffer = torch.empty(value.shape, dtype=value.dtype, pin_memory=value.is_cuda)
        return buffer.copy_(value, non_blocking=value.is_cuda)
