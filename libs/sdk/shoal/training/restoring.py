"""Putting what was saved back into the objects of a script.

A trial that starts from another's checkpoint has hyperparameters of its own: its optimizer takes
the other's state and keeps its own settings, and a schedule goes on at the other's place between
its own learning rates.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.training.data import Loader
from shoal_contract.events.trial import Inherits


def into(parts: Mapping[str, Any], content: Mapping[str, Any], inherits: Inherits) -> None:
    """Load `content` into `parts` of the same names, each by its `load_state_dict`.

    With `inherits` "nothing" everything is as it was saved. Else it is another trial's: optimizers
    keep their hyperparameters, schedulers their `base_lrs`; and with "weights", which begins at
    step 0, what only has a place in training (schedulers, loaders) is left alone.

    Raises KeyError if a part was not saved, TypeError if one cannot be loaded into.
    """
    # Schedulers last: they set the learning rates of optimizers.
    for name, part in sorted(parts.items(), key=lambda item: _is_scheduler(item[1])):
        if inherits == "weights" and (_is_scheduler(part) or isinstance(part, Loader)):
            continue
        if name not in content:
            raise KeyError(f"the checkpoint has no {name!r}; it has {sorted(content)}")
        if not hasattr(part, "load_state_dict"):
            raise TypeError(f"{name!r} has no load_state_dict: {type(part).__name__}")
        if inherits != "nothing" and hasattr(part, "param_groups"):
            _load_optimizer(part, content[name])
        elif inherits != "nothing" and _is_scheduler(part):
            _load_scheduler(part, content[name])
        else:
            part.load_state_dict(content[name])


def _load_optimizer(optimizer: Any, state: Any) -> None:
    own = keep_hyperparameters(optimizer)
    optimizer.load_state_dict(state)
    put_hyperparameters(optimizer, own)


def keep_hyperparameters(optimizer: Any) -> list[dict[str, Any]]:
    """What the script gave each group: learning rate, momentum, betas, and so on."""
    return [
        {name: value for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]


def put_hyperparameters(optimizer: Any, own: list[dict[str, Any]]) -> None:
    """Set what `keep_hyperparameters` returned."""
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)


def _load_scheduler(scheduler: Any, state: Mapping[str, Any]) -> None:
    own = [(one, list(one.base_lrs)) for one in _with_rates(scheduler)]
    scheduler.load_state_dict(state)
    if not own:
        return
    theirs = [list(one.base_lrs) for one, _ in own]
    for one, rates in own:
        one.base_lrs = rates
    # Where the other's schedule had brought its rates to, ours brings ours.
    now = state.get("_last_lr")
    if now is None:
        return
    rates = [
        base * (last / other) if other else base
        for base, last, other in zip(own[0][1], now, theirs[0], strict=True)
    ]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates


def _is_scheduler(part: Any) -> bool:
    return any(True for _ in _with_rates(part))


def _with_rates(scheduler: Any) -> Iterator[Any]:
    """It, and the schedulers inside it, as far as they have `base_lrs`."""
    if hasattr(scheduler, "base_lrs"):
        yield scheduler
    for inner in getattr(scheduler, "_schedulers", ()):
        yield from _with_rates(inner)
