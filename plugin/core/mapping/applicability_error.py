"""The error to expect at a dissimilarity, learned from stations that were held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import isotonic_regression

from ..errors import InputError

MOST_BINS = 20
ROWS_OF_BIN = 50
STATIONS_OF_BIN = 2
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class ErrorProfile:
    """Root mean squared error as a function of the dissimilarity index (DI), never falling.

    Attributes
    ----------
    di, rmse : (k,) float64
        Mean DI of the training rows of each bin, ascending, and their error in m³ m⁻³. Linear
        between them, level before the first and after the last.
    largest : float
        Largest DI of a training row. Beyond it nothing is known.
    """

    di: np.ndarray
    rmse: np.ndarray
    largest: float

    def expect(self, di: np.ndarray) -> np.ndarray:
        """Return the RMSE to expect; NaN where the DI is missing or beyond `largest`."""
        found = np.interp(di, self.di, self.rmse)
        known = np.asarray(di) <= self.largest * (1.0 + _TOLERANCE)  # False where missing
        return np.where(known, found, np.nan)


def error_profile(
    training_di: np.ndarray, squares: np.ndarray, station: np.ndarray
) -> ErrorProfile:
    """Return how the error of held-out stations rises with their dissimilarity [1]_.

    Training rows are sorted by their DI to the nearest row outside their station fold, cut into
    bins of as many rows each (up to 20, of 50 rows and two stations at least on average), and the
    mean squared errors of the bins are made to rise by isotonic regression, weighted by their
    rows. The R package CAST takes windows of some rows and a monotone spline instead; isotonic
    means need no smoothing parameter and keep the mean squared error of all rows.

    Parameters
    ----------
    training_di, squares : (n,) array
        DI and squared error of each training row, held out with its station.
    station : (n,) array
        Station of each row.

    Raises
    ------
    InputError
        Arrays of differing length.

    References
    ----------
    .. [1] Meyer, H., Pebesma, E. (2021). Predicting into unknown space? Estimating the area of
       applicability of spatial prediction models. Methods in Ecology and Evolution 12, 1620-1633.
       https://doi.org/10.1111/2041-210X.13650
    """
    if not len(training_di) == len(squares) == len(station) > 0:
        raise InputError(
            f"{len(training_di)} dissimilarities, {len(squares)} errors and {len(station)} "
            "stations cannot be paired."
        )
    stations = len(np.unique(np.asarray(station).astype(str)))
    bins = min(MOST_BINS, len(squares) // ROWS_OF_BIN, stations // STATIONS_OF_BIN)
    # rows of one DI in the order of their errors: that of the table changes nothing
    order = np.lexsort((squares, training_di))
    parts = np.array_split(order, max(1, bins))
    di = np.array([training_di[part].mean() for part in parts])
    mean = np.array([squares[part].mean() for part in parts])
    rows = np.array([len(part) for part in parts], dtype=np.float64)
    centre, place = np.unique(di, return_inverse=True)  # bins of one DI are one
    total = np.bincount(place.reshape(-1), weights=rows)
    mean = np.bincount(place.reshape(-1), weights=rows * mean) / total
    rising = isotonic_regression(mean, sample_weight=total)
    return ErrorProfile(centre, np.sqrt(rising), float(np.max(training_di)))
