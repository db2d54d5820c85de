"""The part of a validation report on how far the validated stations lie from the training."""

from __future__ import annotations

import numpy as np

from ...stations.folds.distance_matching import distances_between, distances_to, metric_points
from ...stations.rows import TrainingRows
from ...stations.similarity.dissimilarity import covariate_space
from ..by_station import station_means
from ..validation import ValidationResult
from .report import Html, gallery, paragraph, percent, picture, section
from .station_figures import distance_figure

_MOST_ROWS = 20_000


def distance_section(result: ValidationResult) -> Html:
    """Return how far the validated rows lie from the training rows, in covariates and on ground."""
    training = result.model.training
    if training is None or len(set(training.station)) < 2:
        return Html("")
    own, new = _dissimilarities(result, training)
    beyond = float(np.mean(new > np.nanmax(own)))
    return section(
        "Distance to the training rows",
        paragraph(
            "Scores tell what a map is worth where it is no farther from the training stations "
            "than these validated ones are."
        ),
        gallery(
            picture(
                distance_figure(
                    {"training rows, to other stations": own, "validated rows": new},
                    "dissimilarity index",
                    "rows (%)",
                ),
                "Distance in standardised covariates to the nearest training row, in mean "
                "distances of training rows. Where the lines part, the validated places differ "
                "more from the training than its stations do from each other.",
                "Distribution of the distances to the training rows",
            ),
            _ground(result.held.rows, training),
        ),
        paragraph(
            f"{percent(beyond)} of the validated rows lie farther from all training rows than any "
            "training row lies from other stations.",
            kind="small",
        ),
    )


def _dissimilarities(
    result: ValidationResult, training: TrainingRows
) -> tuple[np.ndarray, np.ndarray]:
    _, fold = np.unique(training.station.astype(str), return_inverse=True)
    kept = _thinned(len(training))
    space = covariate_space(
        training.X[kept], result.model.names, fold=np.asarray(fold)[kept], seed=42
    )
    checked = _thinned(len(result.held))
    return space.training_dissimilarity(), space.dissimilarity(result.held.rows.X[checked])


def _ground(rows: TrainingRows, training: TrainingRows) -> Html:
    """Return the distances on the ground; nothing where the two cannot be set side by side."""
    if not rows.crs or rows.crs != training.crs:
        return Html("")
    places = [_station_places(one) for one in (training, rows)]
    if any(len(x) < 2 for x, _ in places):
        return Html("")
    known, new = (metric_points(x, y, rows.crs) for x, y in places)
    between, reach = distances_between(known), distances_to(new, known)
    widest = max(float(np.max(between)), float(np.max(reach)))
    factor, unit = (1000.0, "km") if widest >= 5000 else (1.0, "m")
    return picture(
        distance_figure(
            {
                "training stations, to each other": between / factor,
                "validated stations": reach / factor,
            },
            f"distance to the nearest training station ({unit})",
            "stations (%)",
        ),
        "Distance on the ground to the nearest training station. Stations validated nearer than "
        "the mapped places lie flatter the map.",
        "Distribution of the distances on the ground",
    )


def _station_places(rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the stations that have a position."""
    placed = np.isfinite(rows.x) & np.isfinite(rows.y_coord)
    station = rows.station[placed]
    if not placed.any():
        return np.array([]), np.array([])
    means = [station_means(v[placed], station) for v in (rows.x, rows.y_coord)]
    x, y = (np.array(list(mean.values())) for mean in means)
    return x, y


def _thinned(n: int) -> np.ndarray:
    """Return row numbers: all, or 20 000 drawn by seed."""
    if n <= _MOST_ROWS:
        return np.arange(n)
    return np.sort(np.random.default_rng(42).choice(n, _MOST_ROWS, replace=False))
