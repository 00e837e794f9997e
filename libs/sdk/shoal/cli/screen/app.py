"""The screens of `shoal top`: all there is, one experiment, and a question."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Footer, RichLog, Static

from shoal.aio import AsyncClient
from shoal.asking import ShoalError
from shoal.cli import story
from shoal.cli.curves import curves, plot
from shoal.cli.screen import board

Table = DataTable[Any]
REFRESH = 2.0
"""Seconds after which everything is asked for again, at the latest."""
PAUSE = 0.3
"""Seconds between two refreshes, at least, however much happens."""


class Overview(Screen[None]):
    """Nodes, experiments, the queue, and what happens."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Trials", show=True, priority=True),
        Binding("tab", "app.focus_next", "Next table", show=False),
    ]

    def compose(self) -> ComposeResult:
        """The parts, from the top down."""
        yield Static("", id="head")
        yield _table("nodes", "Nodes", board.NODES)
        yield _table("experiments", "Experiments", board.EXPERIMENTS)
        yield _table("queue", "Queue", board.QUEUE)
        log = RichLog(id="log", max_lines=500, wrap=False)
        log.border_title = "Events"
        yield log
        yield Footer()

    def on_mount(self) -> None:
        """Let the arrows move through experiments."""
        self.query_one("#experiments").focus()

    @property
    def chosen(self) -> str | None:
        """The experiment under the cursor."""
        return _under_cursor(self.query_one("#experiments", DataTable))

    async def load(self, client: AsyncClient) -> None:
        """Ask for everything, and show it."""
        nodes, queue, experiments = await asyncio.gather(
            client.nodes(), client.queue(limit=50), client.experiments(100)
        )
        self.query_one("#head", Static).update(
            f"{board.headline(nodes, queue, experiments)}   {client.url}"
        )
        fill(self.query_one("#nodes", DataTable), board.nodes(nodes))
        fill(self.query_one("#experiments", DataTable), board.experiments(experiments))
        fill(self.query_one("#queue", DataTable), board.queue(queue))

    def action_open(self) -> None:
        """Show the trials of the experiment under the cursor."""
        if (experiment_id := self.chosen) is not None:
            self.app.push_screen(Trials(experiment_id))


class Trials(Screen[None]):
    """The trials of one experiment, and the curves of the best and of the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "app.pop_screen", "Back"),
    ]

    def __init__(self, experiment_id: str) -> None:
        super().__init__()
        self.chosen: str | None = experiment_id

    def compose(self) -> ComposeResult:
        """The parts, from the top down."""
        yield Static("", id="head")
        yield _table("trials", "Trials", board.TRIALS)
        curve = Static("", id="curve", markup=False)
        curve.border_title = "Curves"
        yield curve
        yield Footer()

    def on_screen_resume(self) -> None:
        """Load without waiting for the next refresh."""
        self.query_one("#trials").focus()
        _top(self).stale.set()

    def on_data_table_row_highlighted(self) -> None:
        """Draw the curve of another trial."""
        _top(self).stale.set()

    async def load(self, client: AsyncClient) -> None:
        """Ask for everything, and show it."""
        experiment_id = str(self.chosen)
        experiment, trials = await asyncio.gather(
            client.experiment(experiment_id), client.trials(experiment_id)
        )
        words = f"{experiment_id}   {experiment['name']}   {experiment['state']}"
        reason = experiment["reason"] or experiment["closing"]
        self.query_one("#head", Static).update(words + (f": {reason}" if reason else ""))
        table = self.query_one("#trials", DataTable)
        fill(table, board.trials(trials))
        metric = experiment["config"]["searcher"]["metric"]
        names = board.drawn(experiment, trials, _under_cursor(table))
        if not names:
            return
        found = curves(await client.metrics(experiment_id, trial=names, name=metric, points=200))
        lines = {name: found[name, metric] for name in names if (name, metric) in found}
        place = self.query_one("#curve", Static)
        if lines and place.size.height > 3:
            size = place.size
            text = plot(lines, metric, width=size.width, height=size.height, colour=True)
            place.update(Text.from_ansi(text, no_wrap=True))


class Ask(ModalScreen[bool]):
    """A question that is answered with y or n."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question."""
        yield Static(f"{self._question}  y / n", id="ask")

    def action_answer(self, yes: bool) -> None:
        """Close, with the answer."""
        self.dismiss(yes)


class Top(App[None]):
    """The application. It asks for everything when something happens, and every few seconds."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "Shoal"
    CSS = """
    #head { height: 1; background: $primary; color: $text; padding: 0 1; }
    DataTable, #log, #curve { border-top: solid $primary; background: $surface; }
    DataTable { scrollbar-size: 1 1; }
    #nodes { height: auto; max-height: 6; }
    #experiments { height: 1fr; min-height: 5; }
    #queue { height: auto; max-height: 5; }
    #log { height: 6; scrollbar-size: 1 1; }
    #trials { height: 1fr; }
    #curve { height: 1fr; }
    Ask { align: center middle; }
    #ask { width: auto; height: 3; padding: 1 3; background: $warning; color: $text; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause / go on"),
        Binding("s", "stop", "Stop"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, client: AsyncClient) -> None:
        super().__init__()
        self._client = client
        self.stale = asyncio.Event()
        """Set when what is shown may be old."""
        self._overview = Overview()

    def on_mount(self) -> None:
        """Show the overview, and begin to watch."""
        self.push_screen(self._overview)
        self.run_worker(self._watch(), exit_on_error=True)
        self.run_worker(self._listen(), exit_on_error=True)

    async def action_pause(self) -> None:
        """Pause the chosen experiment, or let it go on."""
        if (experiment_id := self._chosen()) is None:
            return
        try:
            state = (await self._client.experiment(experiment_id))["state"]
            if state == "paused":
                await self._client.resume(experiment_id)
            else:
                await self._client.pause(experiment_id)
            self.notify(f"{experiment_id} is asked to {'go on' if state == 'paused' else 'pause'}.")
        except ShoalError as error:
            self.notify(str(error), severity="error")

    def action_stop(self) -> None:
        """End the chosen experiment, if that is meant."""
        if (experiment_id := self._chosen()) is None:
            return

        async def stop(yes: bool | None) -> None:
            if not yes:
                return
            try:
                await self._client.cancel(experiment_id)
                self.notify(f"{experiment_id} is asked to end.")
            except ShoalError as error:
                self.notify(str(error), severity="error")

        self.push_screen(Ask(f"End the experiment {experiment_id}?"), stop)

    def _chosen(self) -> str | None:
        screen = self.screen
        return screen.chosen if isinstance(screen, Overview | Trials) else None

    async def _watch(self) -> None:
        while True:
            screen = self.screen
            try:
                if isinstance(screen, Overview | Trials):
                    await screen.load(self._client)
            except ShoalError as error:
                with contextlib.suppress(NoMatches):
                    screen.query_one("#head", Static).update(str(error))
            except NoMatches:
                continue  # the screen was left while it loaded
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH):
                    await self.stale.wait()
            self.stale.clear()
            await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        """Write down what happens. What cannot be watched is still asked for now and then."""
        log = self._overview.query_one("#log", RichLog)
        while True:
            try:
                async for event in self._client.events(types=story.FOLLOWED):
                    if (words := story.line(event)) is not None:
                        clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
                        log.write(f"{clock} {words}")
                    self.stale.set()
            except ShoalError as error:
                log.write(str(error))
                await asyncio.sleep(REFRESH)


def fill(table: Table, rows: Mapping[str, board.Cells]) -> None:
    """Make a table show rows, by their keys. The cursor stays with its row."""
    shown = [str(key.value) for key in table.rows]
    if shown == list(rows):
        for key, cells in rows.items():
            for column, cell in zip(table.ordered_columns, cells, strict=True):
                if table.get_cell(key, column.key) != cell:
                    table.update_cell(key, column.key, cell, update_width=True)
        return
    cursor = _under_cursor(table)
    table.clear()
    for key, cells in rows.items():
        table.add_row(*cells, key=key)
    if cursor is not None and cursor in rows:
        table.move_cursor(row=table.get_row_index(cursor), animate=False)


def _table(id: str, title: str, columns: tuple[str, ...]) -> Table:
    table: Table = DataTable(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
    table.border_title = title
    table.add_columns(*columns)
    return table


def _under_cursor(table: Table) -> str | None:
    if not table.row_count:
        return None
    key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
    return None if key is None else str(key)


def _top(screen: Screen[None]) -> Top:
    app = screen.app
    assert isinstance(app, Top)  # noqa: S101
    return app
