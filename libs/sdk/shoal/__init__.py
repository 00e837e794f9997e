"""Shoal for people: in a training script, three calls.

    run = shoal.init()
    run.report(step=…, accuracy=…)
    run.checkpoint(step=…, model=model, optimizer=optimizer)

and `run.should_stop()` at the end of each step; `run.restore(...)` before the first, and
`run.loader(...)` for the data. Outside of Shoal the same script runs by itself.
Importing this is light: torch and the rest are imported when they are needed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoal.aio import AsyncClient
    from shoal.client import Client, ShoalError
    from shoal.training.run import Run

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "Run", "ShoalError", "init"]


def init(
    *,
    hyperparameters: dict[str, Any] | None = None,
    max_time: int | None = None,
    distributed: bool = True,
    storage: str | None = None,
) -> "Run":
    """Join the run that this process is a rank of, and (with several ranks) meet the others.

    Under Shoal, `hyperparameters` and `max_time` are what the experiment says; what is given here
    serves a script that is run by itself, which then trains up to `max_time` steps (1 if none),
    keeps its checkpoints under `storage` (an fsspec address) and goes on from the newest there.
    With `distributed`, the default process group of torch.distributed is formed: NCCL for CUDA
    tensors where there are any, gloo for all others.

    Raises RuntimeError if the other ranks cannot be met, saying who waited where.
    """
    from shoal.training.run import Run

    return Run.join(hyperparameters or {}, max_time, distributed, storage)


def __getattr__(name: str) -> Any:
    if name in ("Client", "ShoalError"):
        from shoal import client

        return getattr(client, name)
    if name == "AsyncClient":
        from shoal.aio import AsyncClient

        return AsyncClient
    if name == "Run":
        from shoal.training.run import Run

        return Run
    raise AttributeError(f"module 'shoal' has no attribute {name!r}")
