"""What ended a script, told to its worker: a file as torchelastic's `record` writes it.

https://docs.pytorch.org/docs/stable/elastic/errors.html
"""

import contextlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from shoal_contract.line import ERROR_VARIABLE


def tell(error: BaseException) -> None:
    """Write it, where there is a worker that reads it."""
    file = os.environ.get(ERROR_VARIABLE)
    if not file:
        return
    with contextlib.suppress(Exception):  # it may not even be able to say what it is
        Path(file).write_text(json.dumps(_record(error)))


def _record(error: BaseException) -> dict[str, Any]:
    said = {
        "message": _sentence(error),
        "extraInfo": {
            "py_callstack": "".join(traceback.format_exception(error)),
            "timestamp": str(int(time.time())),
        },
    }
    return {"message": said}


def _sentence(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    return f"{name}: {error}".removesuffix(": ")


def tell_at_end() -> None:
    """Write the exception that leaves this process's script, besides what is done with it."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
        tell(error)
        before(kind, error, frames)

    sys.excepthook = hook
