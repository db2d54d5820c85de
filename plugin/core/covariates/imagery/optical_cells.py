"""Which cells of a scene can be reflectance, and what became of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Mapping, Sequence

import numpy as np

from ...progress import Progress
from ..rows import listed
from .reflectance_scaling import HIGHEST, LOWEST


@dataclass
class Tally:
    """What became of the cells of a scene."""

    cells: int = 0
    masked: int = 0
    filled: int = 0
    empty: int = 0
    raised: int = 0
    outside: dict[str, int] = field(default_factory=dict)

    def line(self, day: date, indices: int) -> str:
        """Tell a scene in one line."""
        share = 100 * self.filled / max(self.cells, 1)
        masked = 100 * self.masked / max(self.cells, 1)
        text = f"{day}: {indices} indices, {share:.1f} % of the cells have a value"
        return f"{text}, {masked:.1f} % are masked." if self.masked else f"{text}."


def clean_reflectance(reflectance: Mapping[str, np.ndarray], tally: Tally | None = None) -> None:
    """Take out, in place, what cannot be reflectance, and count it; see `optical_indices`."""
    tally = tally or Tally()
    nothing = np.ones(next(iter(reflectance.values())).shape, dtype=bool)
    for values in reflectance.values():
        nothing &= values == 0
    tally.empty += int(nothing.sum())
    for role, values in reflectance.items():
        outside = (values < LOWEST) | (values > HIGHEST)
        raised = (values < 0) & ~outside
        tally.raised += int(raised.sum())
        tally.outside[role] = tally.outside.get(role, 0) + int(outside.sum())
        values[raised] = 0.0
        values[outside | nothing] = np.nan


def report_tallies(tallies: Sequence[Tally], empty: Sequence[str], progress: Progress) -> None:
    """Tell what was counted over all scenes, and the days without any value."""
    total: dict[str, int] = {}
    for tally in tallies:
        for role, count in tally.outside.items():
            total[role] = total.get(role, 0) + count
    cells = max(sum(tally.cells for tally in tallies), 1)
    outside = ", ".join(f"{role} {count}" for role, count in total.items() if count)
    if outside:
        progress.info(
            f"Reflectance below {LOWEST:g} or above {HIGHEST:g} counts as missing, in cells: "
            f"{outside}."
        )
    raised = sum(tally.raised for tally in tallies)
    if raised:
        progress.info(f"Reflectance from {LOWEST:g} to 0 counts as 0: {raised} values.")
    nothing = sum(tally.empty for tally in tallies)
    if nothing:
        progress.info(f"{nothing} cells are 0 in every band: missing.")
    bad = max(total.values(), default=0)
    if bad + raised > 0.1 * cells:
        progress.warn(
            f"More than a tenth of the values lies below 0 or above {HIGHEST:g}: check that SCALE "
            "and OFFSET fit the product."
        )
    if empty:
        progress.warn(f"No cell has a value on {listed(empty)}: no raster is written.")
