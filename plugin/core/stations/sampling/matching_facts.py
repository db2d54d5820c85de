"""What became of each observation and covariate when they were matched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .matching_rows import Choice

MATCHED, NO_POINT, NO_DATE, NO_RASTER, OUTSIDE, NO_VALUE, RAINED = range(7)
WHY = (
    "matched",
    "no point",
    "no date",
    "no raster within the tolerance",
    "outside the raster",
    "the cell is missing",
    "rain in between",
)
"""What the codes of :attr:`MatchFacts.why` mean."""


@dataclass(frozen=True)
class RainFacts:
    """What a rule about rain did.

    Parameters
    ----------
    covariate : str
    most : float
        mm.
    applies : tuple of str
        Covariates it was applied to.
    unknown : int64 (k,)
        Values kept though the rain of some day between is not known.
    """

    covariate: str
    most: float
    applies: tuple[str, ...]
    unknown: np.ndarray


@dataclass(frozen=True)
class MatchFacts:
    """How observations (n) found their covariates (k).

    Parameters
    ----------
    names : tuple of k str
    static : tuple of k bool
    why : uint8 (n, k)
        Place in `WHY`.
    shift : int16 (n, k)
        Days from observation to image, negative where the image is earlier.
    several : int64 (k,)
        Observations for which more than one row lies within its tolerance.
    choices : tuple of Choice
        Days on which rows have the same claim.
    station : object (n,)
        '' throughout without such a field.
    days : datetime64[D] (n,)
    same_place : tuple of tuples of str
        Stations that stand at one place.
    repeated : int
        Rows that share station and day with an earlier row.
    rain : RainFacts or None
    """

    names: tuple[str, ...]
    static: tuple[bool, ...]
    why: np.ndarray
    shift: np.ndarray
    several: np.ndarray
    choices: tuple[Choice, ...]
    station: np.ndarray
    days: np.ndarray
    same_place: tuple[tuple[str, ...], ...]
    repeated: int
    rain: RainFacts | None

    def counts(self) -> np.ndarray:
        """Return how often each reason of `WHY` holds for each covariate, int64 (k, reasons)."""
        return np.array(
            [np.bincount(column, minlength=len(WHY)) for column in self.why.T], dtype=np.int64
        ).reshape(-1, len(WHY))

    def apart(self, column: int) -> np.ndarray:
        """Return the days between image and observation of a covariate's matched rows."""
        return np.abs(self.shift[self.why[:, column] == MATCHED, column])
