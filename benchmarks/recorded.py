"""Where tables of benchmarks are kept."""

from pathlib import Path

RESULTS = Path(__file__).parent / "results"
NOTES = "\n## Notes\n"
"""Heading of what a person wrote below the tables."""


def record(file: Path, text: str) -> None:
    """Write tables to a file; what stands there below `NOTES` stays."""
    _, heading, notes = (file.read_text() if file.exists() else "").partition(NOTES)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.rstrip("\n") + "\n" + heading + notes)
