"""A job's progress in the terminal: a bar with time left, or in a log a line now and then."""

import sys
import time
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from glrp_napari import messages

LOG_EVERY_S = 15.0
T = TypeVar("T")


def show_progress(events: Iterable[T]) -> Iterator[T]:
    """Pass a job's events on while showing how far it is; notices are printed."""
    yield from _draw_bar(events) if sys.stdout.isatty() else _print_lines(events)


def collect(events: Generator[object, None, T]) -> T:
    """Run a job to its end, showing how far it is; what the generator returns."""
    returned: list[T] = []

    def run() -> Iterator[object]:
        returned.append((yield from events))

    for _event in show_progress(run()):
        pass
    return returned[0]


def _draw_bar(events: Iterable[T]) -> Iterator[T]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("")
        for event in events:
            if isinstance(event, messages.Progress):
                bar.update(task, description=event.stage, completed=event.done, total=event.total)
            elif isinstance(event, messages.TrainingStep):
                words = f"{event.stage}, loss {event.loss:.3f}"
                bar.update(task, description=words, completed=event.step, total=event.total)
            elif isinstance(event, messages.Notice):
                bar.console.print(event.text)
            yield event


def _print_lines(events: Iterable[T]) -> Iterator[T]:
    printed = time.monotonic()
    for event in events:
        if isinstance(event, messages.Notice):
            print(event.text, flush=True)
        elif isinstance(event, messages.Progress | messages.TrainingStep) and (
            time.monotonic() - printed > LOG_EVERY_S
        ):
            printed = time.monotonic()
            print(_describe(event), flush=True)
        yield event


def _describe(event: messages.Progress | messages.TrainingStep) -> str:
    left = "" if event.seconds_left is None else f", {event.seconds_left / 60:.1f} min left"
    if isinstance(event, messages.Progress):
        return f"{event.stage}: {event.done} of {event.total}{left}"
    return f"{event.stage}: step {event.step} of {event.total}, loss {event.loss:.3f}{left}"
