"""Whether prediction intervals hold in each network, season and class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..models.calibration import LEVELS
from ..models.heldout import HeldOut
from .bootstrap import share_intervals
from .groups import Group, groupings
from .metrics import interval_score

DRAWN_ROWS = 20
"""Readings from which on a group gets a curve."""
DRAWN_STATIONS = 3
"""Stations from which on a group gets a curve."""
MARK = LEVELS.index(0.9)
"""Place of the 90 % interval among the levels."""

_SLACK = 0.05


@dataclass(frozen=True, eq=False)
class GroupCoverage:
    """How many readings of a group lie inside its prediction intervals.

    Attributes
    ----------
    group : Group
    n, stations : int
    observed : (L,) float64
        Share of readings inside the interval of each level of `LEVELS`; calibrated intervals where
        there are any.
    band : (2, L) float64 or None
        95 % bootstrap interval of `observed`, drawing stations; None below 6 stations.
    width, score : float
        Mean width and mean interval score of the 90 % interval, m³ m⁻³.
    raw : (L,) float64 or None
        `observed` of the uncalibrated intervals, where `observed` is of calibrated ones.
    raw_width, raw_score : float or None
    """

    group: Group
    n: int
    stations: int
    observed: np.ndarray
    band: np.ndarray | None
    width: float
    score: float
    raw: np.ndarray | None = None
    raw_width: float | None = None
    raw_score: float | None = None

    @property
    def held(self) -> float:
        """Return the share of readings inside the 90 % interval."""
        return float(self.observed[MARK])

    @property
    def ends(self) -> tuple[float, float] | None:
        """Return the 95 % bootstrap interval of `held`."""
        return None if self.band is None else (float(self.band[0, MARK]), float(self.band[1, MARK]))

    @property
    def drawn(self) -> bool:
        """Return whether the group is large enough for a curve."""
        return self.n >= DRAWN_ROWS and self.stations >= DRAWN_STATIONS

    @property
    def verdict(self) -> str:
        """Return ``short``, ``low``, ``holds`` or ``few``.

        ``short``: the bootstrap interval of the coverage ends below 90 %. ``low``: coverage is
        below 85 %, but chance could do it, or nobody can tell from so few stations. ``few``: there
        are fewer than 20 readings, so nothing is said.
        """
        if self.n < DRAWN_ROWS:
            return "few"
        if self.ends is not None and self.ends[1] < LEVELS[MARK]:
            return "short"
        return "low" if self.held < LEVELS[MARK] - _SLACK else "holds"


def group_coverage(
    held: HeldOut, *, raw: bool = True, fields: Iterable[str] | None = None
) -> dict[str, list[GroupCoverage]]:
    """Return coverage, width and interval score of the groups of each field.

    Parameters
    ----------
    held : HeldOut
    raw : bool
        Whether there are uncalibrated intervals (a forest without quantiles has none).
    fields : iterable of str, optional
        Fields to group by; all that part the rows by default.

    Returns
    -------
    dict
        By field; empty where the rows have no intervals or nothing parts them.
    """
    if held.calibrated is None and not raw:
        return {}
    chosen = None if fields is None else set(fields)
    return {
        field: [_coverage(held, group, raw) for group in groups]
        for field, groups in groupings(held.rows)
        if chosen is None or field in chosen
    }


def worst_first(found: Iterable[Sequence[GroupCoverage]], verdict: str) -> list[GroupCoverage]:
    """Return the groups of a verdict, the least covered first."""
    chosen = [one for groups in found for one in groups if one.verdict == verdict]
    return sorted(chosen, key=lambda one: one.held)


def _coverage(held: HeldOut, group: Group, raw: bool) -> GroupCoverage:
    part = held.take(group.rows)
    calibrated = part.calibrated is not None
    inside = _inside(part, calibrated)
    width, score = _width_and_score(part, calibrated)
    beside = calibrated and raw
    raw_width, raw_score = _width_and_score(part, False) if beside else (None, None)
    return GroupCoverage(
        group,
        len(part),
        len(set(part.rows.station.astype(str))),
        inside.mean(axis=0),
        share_intervals(inside, part.rows.station),
        width,
        score,
        _inside(part, False).mean(axis=0) if beside else None,
        raw_width,
        raw_score,
    )


def _inside(part: HeldOut, calibrated: bool) -> np.ndarray:
    """Return 1 where the interval of a level holds the reading, else 0, (n, L)."""
    bounds = [part.bounds(level, calibrated=calibrated) for level in LEVELS]
    y = part.rows.y
    return np.column_stack([(low <= y) & (y <= high) for low, high in bounds]).astype(float)


def _width_and_score(part: HeldOut, calibrated: bool) -> tuple[float, float]:
    low, high = part.bounds(LEVELS[MARK], calibrated=calibrated)
    return float(np.mean(high - low)), interval_score(part.rows.y, low, high)
