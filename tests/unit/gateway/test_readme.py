"""The gateway's README names all that it says and hears."""

import re
from pathlib import Path

from shoal_contract.events import REGISTER
from shoal_contract.subjects import STREAMS, stream_of
from shoal_gateway.core.positions import EVENT_STREAMS
from shoal_gateway.shell.projector import PROJECTED
from shoal_gateway.shell.webhooks import STREAMS as TOLD

README = Path(__file__).parents[3] / "services" / "gateway" / "README.md"


def named(heading: str) -> list[set[str]]:
    """What the rows below a heading have between backticks."""
    _, _, rest = README.read_text().partition(heading)
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return [set(re.findall(r"`([^`]+)`", row)) for row in rows]


def test_what_the_gateway_says() -> None:
    own = {stream.name for stream in STREAMS if stream.writer == "gateway"}
    ours = {
        name for name, kind in REGISTER.items() if kind.__module__.startswith("shoal_contract.")
    }
    events = {name for name in ours if stream_of(name).name in own}
    assert set().union(*named("| says, in the stream |")) == own | events


def test_what_the_gateway_hears() -> None:
    rows = named("| hears, of the stream |")
    names = [{name for name in row if name.startswith("SHOAL_")} for row in rows]
    assert names[0] | names[1] == {stream.name for stream in PROJECTED}
    assert names[2] == {stream.name for stream in EVENT_STREAMS}
    assert names[3] == {stream.name for stream in TOLD}
