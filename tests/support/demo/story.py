"""The demo's output: each step, what was seen, how long it took, and a closing table.

What is printed is kept as a picture too: the same lines, cut at the width of a page.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

PICTURE_WIDTH = 112
PICTURE_OUTPUT = 6
"""Lines of a command's output that the picture shows."""

# The fonts are the reader's own: a picture in a README loads nothing from elsewhere.
_PICTURE = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


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
        self._picture = Console(
            file=io.StringIO(), record=True, width=PICTURE_WIDTH, highlight=False
        )
        self._picture.print("[bold]$ make demo[/]")

    def print_line(self, text: str, *, markup: bool = False) -> None:
        """Print one line, whole on the terminal, cut to its width in the picture."""
        self.console.print(text, markup=markup)
        self._picture.print(text, markup=markup, no_wrap=True, overflow="ellipsis", crop=True)

    def draw(self, path: Path) -> None:
        """Write what was printed so far as an SVG file."""
        path.write_text(
            self._picture.export_svg(title="make demo", code_format=_PICTURE, unique_id="demo")
        )

    @contextmanager
    def chapter(self, title: str) -> Iterator[Chapter]:
        """Show one step; an exception inside is shown as its failure and raised on."""
        chapter = Chapter(title)
        self.chapters.append(chapter)
        number = len(self.chapters)
        self.print_line(f"\n[bold cyan]{number}. {title}[/]", markup=True)
        begin = time.monotonic()
        printed = _PrintedChapter(self, chapter)
        try:
            yield printed
        except BaseException:
            chapter.failed = True
            raise
        finally:
            chapter.seconds = time.monotonic() - begin
            word = "[bold red]FAILED[/]" if chapter.failed else "[green]done[/]"
            self.print_line(f"   {word} after {chapter.seconds:.1f} s", markup=True)

    def show(self, command: str, output: str) -> None:
        """Print a command that the reader can repeat, and what it answered."""
        self.print_line(f"   [dim]$ {command}[/]", markup=True)
        lines = output.rstrip().splitlines()
        for line in lines[:PICTURE_OUTPUT]:
            self.print_line(f"     {line}")
        for line in lines[PICTURE_OUTPUT:]:
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
        self._picture.print(f"\n[bold]{len(self.chapters)} steps, {total:.0f} s[/]")
        width = max(100, self.console.width)
        Console(file=sys.stdout, highlight=False, width=width).print(table)


class _PrintedChapter(Chapter):
    """A chapter that prints what is seen at once."""

    def __init__(self, story: Story, chapter: Chapter) -> None:
        super().__init__(chapter.title, chapter.seen)
        self._story = story

    def saw(self, fact: str) -> None:
        super().saw(fact)
        self._story.print_line(f"   - {fact}")
