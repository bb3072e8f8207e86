"""A story told step by step: what is done, what was seen, how long it took, and a closing table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass
class Chapter:
    """One step of the story; `saw` collects what was observed, never what was hoped for."""

    title: str
    seen: list[str] = field(default_factory=list)
    seconds: float = 0.0
    failed: bool = False

    def saw(self, fact: str) -> None:
        self.seen.append(fact)


class Story:
    """Prints each chapter while it happens, and all of them as a table at the end."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.chapters: list[Chapter] = []

    @contextmanager
    def chapter(self, title: str) -> Iterator[Chapter]:
        """Tell one step; an exception inside is shown as its failure and goes on upwards."""
        chapter = Chapter(title)
        self.chapters.append(chapter)
        number = len(self.chapters)
        self.console.print(f"\n[bold cyan]{number}. {title}[/]")
        begin = time.monotonic()
        told = _Teller(self.console, chapter)
        try:
            yield told
        except BaseException:
            chapter.failed = True
            raise
        finally:
            chapter.seconds = time.monotonic() - begin
            word = "[bold red]FAILED[/]" if chapter.failed else "[green]done[/]"
            self.console.print(f"   {word} after {chapter.seconds:.1f} s")

    def show(self, command: str, output: str) -> None:
        """Print a command that the reader can repeat, and what it answered."""
        self.console.print(f"   [dim]$ {command}[/]", markup=True)
        for line in output.rstrip().splitlines():
            self.console.print(f"     {line}", markup=False)

    def closing_table(self) -> None:
        table = Table(title="What happened", show_lines=True)
        table.add_column("#", justify="right")
        table.add_column("Step")
        table.add_column("Seen")
        table.add_column("Seconds", justify="right")
        for number, chapter in enumerate(self.chapters, start=1):
            table.add_row(
                str(number), chapter.title, "\n".join(chapter.seen), f"{chapter.seconds:.1f}"
            )
        total = sum(chapter.seconds for chapter in self.chapters)
        table.add_row("", "All steps", "", f"{total:.1f}")
        width = max(100, self.console.width)
        Console(file=sys.stdout, highlight=False, width=width).print(table)


class _Teller(Chapter):
    """A chapter that prints what is seen at once."""

    def __init__(self, console: Console, chapter: Chapter) -> None:
        super().__init__(chapter.title, chapter.seen)
        self._console = console

    def saw(self, fact: str) -> None:
        super().saw(fact)
        self._console.print(f"   - {fact}", markup=False)
