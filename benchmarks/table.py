"""The table of results and the verdicts on the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REFERENCE = "quantile-forest"
HEADER = ("peer", "rows", "pixels are", "pixels/s", "ratio", "peak memory")


@dataclass(frozen=True)
class Result:
    """Pixels per second of a peer; `peak` is its peak memory in MB, None if not measured."""

    peer: str
    rows: int
    pixels: str
    rate: float
    peak: float | None = None


@dataclass(frozen=True)
class Target:
    """A number to reach: at least (or, with `most`, at most) `goal`. None was not measured."""

    what: str
    goal: float
    measured: float | None
    most: bool = False
    stretch: float | None = None
    unit: str = "×"

    @property
    def reached(self) -> bool:
        """Whether the number is there and good enough."""
        if self.measured is None:
            return False
        return self.measured <= self.goal if self.most else self.measured >= self.goal

    def __str__(self) -> str:
        sign = "≤" if self.most else "≥"
        goal = f"target {self.what} {sign} {self.goal:g} {self.unit}"
        if self.stretch is not None:
            goal += f" (stretch {self.stretch:g} {self.unit})"
        if self.measured is None:
            return f"{goal}: not measured"
        verdict = "reached" if self.reached else "not reached"
        return f"{goal}: measured {self.measured:.3g} {self.unit}: {verdict}"


def ratio(results: Sequence[Result], result: Result) -> float | None:
    """Return how many times faster than the reference on the same rows and pixels, or None."""
    for other in results:
        if (other.peer, other.rows, other.pixels) == (REFERENCE, result.rows, result.pixels):
            return result.rate / other.rate
    return None


def form_table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table, padded for a terminal."""
    lines = [HEADER]
    for result in results:
        times = ratio(results, result)
        lines.append(
            (
                result.peer,
                spaced(result.rows),
                result.pixels,
                spaced(round(result.rate)),
                "–" if times is None else f"{times:.2f}",
                "–" if result.peak is None else f"{result.peak:.0f} MB",
            )
        )
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return rows of text, the header first, as a Markdown table."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]

    def row(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]) + "|"
    return "\n".join([row(lines[0]), rule, *(row(line) for line in lines[1:])])


def spaced(number: int) -> str:
    """Return a whole number with thin groups of three.

    Examples
    --------
    >>> spaced(50000)
    '50 000'
    """
    return f"{number:,}".replace(",", " ")
