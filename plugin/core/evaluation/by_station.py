"""Errors of predictions by station, and the tests that compare them before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..models.heldout import HeldOut
from .paired import PairedTest, paired_tests


@dataclass(frozen=True)
class ScoreChange:
    """How a score of stations moved.

    Attributes
    ----------
    score : str
        ``|ME|`` or ``RMSE``.
    test : PairedTest
        Over stations, after − before.
    before, after : float
        Medians over the stations, m³ m⁻³.
    """

    score: str
    test: PairedTest
    before: float
    after: float


def station_means(values: np.ndarray, station: np.ndarray) -> dict[str, float]:
    """Return the mean of `values` (n,) over the rows of each station (n,)."""
    names, code = np.unique(station.astype(str), return_inverse=True)
    means = np.bincount(code, weights=values, minlength=len(names)) / np.bincount(code)
    return dict(zip(names.tolist(), means.tolist()))


def station_rmse(
    observed: np.ndarray, predicted: np.ndarray, station: np.ndarray
) -> dict[str, float]:
    """Return the RMSE of each station."""
    squares = station_means((predicted - observed) ** 2, station)
    return {name: float(np.sqrt(value)) for name, value in squares.items()}


def held_rmse(held: HeldOut) -> dict[str, float]:
    """Return the RMSE of each station of held-out predictions."""
    return station_rmse(held.rows.y, held.mean, held.rows.station)


def held_bias(held: HeldOut) -> dict[str, float]:
    """Return the mean error (predicted − measured) of each station."""
    return station_means(held.mean - held.rows.y, held.rows.station)


def balanced_rmse(held: HeldOut) -> float:
    """Return the RMSE with each station counting alike."""
    squares = station_means((held.mean - held.rows.y) ** 2, held.rows.station)
    return float(np.sqrt(np.mean(list(squares.values()))))


def score_changes(before: HeldOut, after: HeldOut) -> list[ScoreChange]:
    """Compare |ME| and RMSE of the same stations in two predictions.

    The signed ME is not tested: whether it is nearer to nought is what |ME| says.
    """
    pairs = {
        "|ME|": [
            {name: abs(value) for name, value in held_bias(held).items()}
            for held in (before, after)
        ],
        "RMSE": [held_rmse(held) for held in (before, after)],
    }
    return [
        ScoreChange(score, paired_tests(old, new), _median(old), _median(new))
        for score, (old, new) in pairs.items()
    ]


def _median(values: dict[str, float]) -> float:
    return float(np.median(list(values.values())))
