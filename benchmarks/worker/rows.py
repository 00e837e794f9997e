"""What scripts write, and how figures are shown. Nothing of Shoal is imported: peers use it too."""

import json
import statistics
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "script.py"
TRIALS = 60
"""That only report three numbers."""
Row = dict[str, Any]


def rows(file: Path) -> list[Row]:
    """What a script wrote so far."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]


def shown(values: list[float], unit: str) -> str:
    """Median and range."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.3g} {unit} ({low:.3g} to {high:.3g}, n={len(values)})"
