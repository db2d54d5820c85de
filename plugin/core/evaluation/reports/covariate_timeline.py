"""The time line of a covariate table: which covariate is there on which days, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from ...covariates.inventory import CovariateFacts, Inventory
from ...covariates.rows import CovariateRow
from .figures import BLUE, DARK, ORANGE, VERMILION
from .report import Html, plural

_WIDTH = 1040.0
_RIGHT = 74.0
_ROW = 22.0
_TOP = 26.0
_BAR = 12.0
_LETTER = 6.6  # width of a letter of the labels
_WITHIN = "#D6E6F2"
_GAP = "#F9DFD0"
_LINE = "#E3E7EA"
_MOST_TICKS = 14
_SPARSE = 0.9  # share of missing cells from which a raster is drawn as nearly empty
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class _Scale:
    """Days as places on the drawing."""

    first: date
    days: int
    left: float
    right: float

    def x(self, day: date, *, end: bool = False) -> float:
        """Return where a day begins, or ends."""
        share = ((day - self.first).days + end) / self.days
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    @property
    def day(self) -> float:
        """Width of a day."""
        return (self.right - self.left) / self.days


def timeline(inventory: Inventory) -> Html:
    """Return the time line of the dated covariates; nothing where there is none.

    A line a covariate: marks for its rows (as long as their periods), a tint over the days within
    their tolerance, hatching over the others. Orange marks are rasters that are nearly empty.
    """
    dated = inventory.dated
    if not dated or inventory.period is None:
        return Html("")
    names = max(len(one.name) for one in dated)
    left = min(max(90.0, 14 + _LETTER * names), 260.0)
    scale = _Scale(inventory.period[0], inventory.days, left, _WIDTH - _RIGHT)
    height = _TOP + _ROW * len(dated) + 34
    parts = [_hatching(), *_axis(scale, _TOP + _ROW * len(dated))]
    for place, one in enumerate(dated):
        parts += _line(one, scale, _TOP + _ROW * place)
    parts += _legend(left, height - 12)
    label = (
        f"Time line of {plural(len(dated), 'covariate')} from {inventory.period[0]} to "
        f"{inventory.period[1]}"
    )
    return Html(
        f'<figure><svg role="img" aria-label="{escape(label)}" viewBox="0 0 {_WIDTH:g} {height:g}" '
        'style="width:100%;height:auto;display:block" font-family="inherit" font-size="12" '
        f'fill="{DARK}">{"".join(parts)}</svg></figure>'
    )


def ticks(first: date, last: date) -> list[tuple[date, str]]:
    """Return the days to write on an axis, with their labels; 14 at most.

    Whole months, quarters or years where the period is long enough, else days.
    """
    days = (last - first).days + 1
    if days <= 45:
        step = max(1, math.ceil(days / 10))
        shown = [first + timedelta(days=shift) for shift in range(0, days, step)]
        return [(day, f"{day.day} {_MONTHS[day.month - 1]}") for day in shown]
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    for step in (1, 2, 3, 6, 12, 24, 60, 120, 240):
        if months / step <= _MOST_TICKS - 1:
            break
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    starts = [date(number // 12, number % 12 + 1, 1) for number in numbers if number % step == 0]
    found = [day for day in starts if day >= first]
    named: set[int] = set()
    labelled = []
    for day in found:
        new_year = day.year not in named
        named.add(day.year)
        if step >= 12:
            labelled.append((day, str(day.year)))
        else:
            month = _MONTHS[day.month - 1]
            labelled.append((day, f"{month} {day.year}" if new_year else month))
    return labelled


def _hatching() -> str:
    return (
        '<defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{_GAP}"/>'
        f'<line x1="0" y1="0" x2="0" y2="6" stroke="{VERMILION}" stroke-width="1.4" '
        'stroke-opacity="0.55"/></pattern></defs>'
    )


def _axis(scale: _Scale, bottom: float) -> list[str]:
    last = scale.first + timedelta(days=scale.days - 1)
    parts = []
    for day, label in ticks(scale.first, last):
        x = scale.x(day)
        anchor = "start" if x < scale.right - 60 else "end"
        parts.append(
            f'<line x1="{x:.1f}" y1="{_TOP - 6:g}" x2="{x:.1f}" y2="{bottom:g}" stroke="{_LINE}"/>'
            f'<text x="{x:.1f}" y="{_TOP - 11:g}" text-anchor="{anchor}" fill="#5b656d">'
            f"{label}</text>"
        )
    return parts


def _line(one: CovariateFacts, scale: _Scale, top: float) -> list[str]:
    """Return one covariate: its name, the days it serves, the days it does not, its rows."""
    y = top + (_ROW - _BAR) / 2
    middle = top + _ROW / 2 + 4
    name = one.name if len(one.name) <= 38 else f"{one.name[:37]}…"
    title = f"{one.name}: {plural(len(one.rows), 'row')}"
    if one.interval:
        title += f", every {one.interval:g} days"
    parts = [
        f'<text x="{scale.left - 8:.1f}" y="{middle:.1f}" text-anchor="end">{escape(name)}'
        f"<title>{escape(title)}</title></text>",
        f'<rect x="{scale.left:.1f}" y="{y:.1f}" width="{scale.right - scale.left:.1f}" '
        f'height="{_BAR:g}" fill="{_WITHIN}"/>',
    ]
    for gap in one.gaps:
        start, stop = scale.x(gap.start), scale.x(gap.end, end=True)
        parts.append(
            f'<rect x="{start:.1f}" y="{y:.1f}" width="{max(stop - start, 0.8):.1f}" '
            f'height="{_BAR:g}" fill="url(#gap)"><title>{escape(one.name)}: no row from '
            f"{gap.start} to {gap.end}, {plural(gap.days, 'day')}</title></rect>"
        )
    sparse = [row for row in one.rows if _nearly_empty(one, row)]
    full = [row for row in one.rows if not _nearly_empty(one, row)]
    parts += _marks(full, scale, y, BLUE) + _marks(sparse, scale, y, ORANGE)
    parts.append(
        f'<text x="{scale.right + 10:.1f}" y="{middle:.1f}" fill="#5b656d">'
        f"{plural(len(one.rows), 'row')}</text>"
    )
    return parts


def _nearly_empty(one: CovariateFacts, row: CovariateRow) -> bool:
    values = one.looked.get(row)
    return values is not None and values.missing > _SPARSE


def _marks(rows: Sequence[CovariateRow], scale: _Scale, y: float, colour: str) -> list[str]:
    """Return the rows' periods as one path: hundreds of marks stay small in the file."""
    steps = []
    for row in rows:
        if row.start is None or row.end is None:
            continue
        start, stop = scale.x(row.start), scale.x(row.end, end=True)
        days = (row.end - row.start).days + 1
        width = stop - start
        if days == 1:  # a day of a short period is not a bar
            width = min(max(width, 1.4), 5.0)
            start += (scale.day - width) / 2
        elif width > 4:  # composites end to end stay apart
            width -= 1
        steps.append(f"M{start:.1f} {y:.1f}h{max(width, 1.4):.1f}v{_BAR:g}h-{max(width, 1.4):.1f}z")
    return [f'<path d="{"".join(steps)}" fill="{colour}"/>'] if steps else []


def _legend(left: float, y: float) -> list[str]:
    entries = (
        (BLUE, 3.0, "raster"),
        (ORANGE, 3.0, f"raster with over {100 * _SPARSE:g} % missing"),
        (_WITHIN, 22.0, "day within the tolerance"),
        ("url(#gap)", 22.0, "day without a row within the tolerance"),
    )
    parts, x = [], left
    for colour, width, label in entries:
        parts.append(
            f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="{width:g}" height="{_BAR:g}" '
            f'fill="{colour}"/><text x="{x + width + 6:.1f}" y="{y:.1f}" fill="#5b656d">'
            f"{escape(label)}</text>"
        )
        x += width + 26 + _LETTER * len(label)
    return parts
