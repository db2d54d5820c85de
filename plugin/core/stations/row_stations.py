"""What is odd about the stations of training rows."""

from __future__ import annotations

import numpy as np

from ..progress import Progress
from .station_names import same_places, tell_decimal_names, tell_same_places


def tell_stations(
    stations: np.ndarray,
    fold: np.ndarray,
    place: tuple[np.ndarray, np.ndarray, str],
    field: str,
    progress: Progress,
) -> None:
    """Warn of stations torn by folds, at one place, or named by numbers with decimals.

    Parameters
    ----------
    stations : object (n,)
        Of rows.
    fold : int64 (n,)
    place : float64 (n,), float64 (n,), str
        Coordinates and their reference system.
    field : str
        That names the stations.
    """
    if len(set(zip(stations, fold.tolist()))) > len(set(stations)):
        progress.warn(
            "The field 'fold' puts rows of one station into several folds: scores by fold are "
            "then not those of unseen stations."
        )
    tell_decimal_names(stations, f"the field '{field}'", progress)
    tell_same_places(
        same_places(stations, *place),
        "they share their covariates, so none of them is an unseen place to the other. Give them "
        "one name where they are one station.",
        progress,
    )
