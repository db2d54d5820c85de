"""Train a model on the stations of many networks, and learn how far its intervals hold."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import sklearn

from ..dependencies import plugin_version
from ..errors import InputError
from ..progress import Progress
from ..stations.folds.splits import network_folds, station_folds
from ..stations.rows import TrainingRows
from .calibration import Calibration, Margins, station_margins
from .forest import Forest
from .heldout import Fold, ForestSettings, HeldOut, cross_calibrate, predict_folds
from .record import Covariate, Model
from .traversal import find_leaves

TUNED_TREES = (10, 20, 50, 100)
TUNED_LEAVES = (5, 10)
MIN_NETWORKS = 3


@dataclass(frozen=True)
class TrainSettings:
    """What a model is trained with beside its rows.

    Attributes
    ----------
    forest : ForestSettings
    tune : bool
        Choose trees and smallest leaf by the RMSE of station folds.
    folds : int
        Number of station folds, where the rows bring none.
    calibrate : bool
        Learn margins for the intervals.
    target, station_field, date_field, class_fields
        Names the model remembers.
    covariate_info : mapping of str to (str, str)
        Group and units of a covariate.
    inputs : mapping of str to str
        What the user chose, for the provenance.
    """

    forest: ForestSettings = field(default_factory=ForestSettings)
    tune: bool = False
    folds: int = 5
    calibrate: bool = True
    target: str = "moisture"
    station_field: str = "station"
    date_field: str = "date"
    class_fields: tuple[str, ...] = ()
    covariate_info: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TrainResult:
    """A trained model and the predictions that judge it.

    Attributes
    ----------
    model : Model
    station, network : HeldOut
        By station folds, and by folds of one network each (at least 3 networks, else None);
        calibrated by margins of the other stations or networks.
    folds : tuple of Fold
        The forests of the station folds, for permutation importance.
    tuning : tuple of dict
        ``trees``, ``min_leaf``, ``rmse``, ``chosen`` of each setting tried.
    """

    model: Model
    station: HeldOut
    network: HeldOut | None
    folds: tuple[Fold, ...]
    tuning: tuple[dict[str, Any], ...] = ()


def train_model(
    rows: TrainingRows, settings: TrainSettings, progress: Progress | None = None
) -> TrainResult:
    """Train a forest, predict every station by a forest that has not seen it, and calibrate.

    The intervals of a map of a new field are moved by the network margin, since a new field is a
    new network; where there are fewer than three networks, by the station margin [1]_ [2]_.

    Parameters
    ----------
    rows : TrainingRows
        At least two stations.

    Raises
    ------
    InputError
        Fewer than two stations or folds.
    Cancelled
        The user stopped the run.

    References
    ----------
    .. [1] Romano, Y., Patterson, E., Candès, E. (2019). Conformalized quantile regression.
       arXiv:1905.03222
    .. [2] Lee, Y., Barber, R. F., Willett, R. (2023). Distribution-free inference with
       hierarchical data. arXiv:2306.06342
    """
    progress = progress or Progress()
    fold = choose_folds(rows, settings.folds, settings.forest.seed)
    tuning: tuple[dict[str, Any], ...] = ()
    if settings.tune:
        tuning = _tune(rows, fold, settings.forest, progress.part(0.0, 0.4))
        best = next(row for row in tuning if row["chosen"])
        settings = replace(
            settings,
            forest=replace(settings.forest, trees=best["trees"], min_leaf=best["min_leaf"]),
        )
    forests = settings.forest
    held, folds = predict_folds(rows, fold, forests, progress.part(0.4, 0.6))
    network = _predict_networks(rows, forests, progress.part(0.6, 0.85))
    calibration = None
    if settings.calibrate:
        calibration = calibrate(held, network, progress)
        held = cross_calibrate(held, margins, held.rows.station, forests.seed)
        if network is not None:
            network = cross_calibrate(network, margins, network.rows.network, forests.seed)
    forest = forests.grow(rows, progress.part(0.85, 1.0))
    model = _build_model(rows, forest, settings, calibration)
    return TrainResult(model, held, network, folds, tuning)


def margins(held: HeldOut) -> Margins:
    """Return the margins by station of `held`."""
    return station_margins(*held.margin_input())


def calibrate(held: HeldOut, network: HeldOut | None, progress: Progress) -> Calibration:
    """Return the calibration of a model that has seen no station of the field it will map."""
    if network is None:
        progress.warn(
            f"There are fewer than {MIN_NETWORKS} networks (field network), so the intervals are "
            "calibrated on new stations of known networks; in a new field they may be too narrow."
        )
        return Calibration(station=margins(held), network=None, spiked=None, applied="station")
    return Calibration(
        station=margins(held), network=margins(network), spiked=None, applied="network"
    )


def choose_folds(rows: TrainingRows, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row, (n,): the table's own where it has them, else by station.

    Raises
    ------
    InputError
        Fewer than two stations or folds.
    """
    stations = len(np.unique(rows.station.astype(str)))
    if stations < 2:
        raise InputError(
            f"The table has {stations} station with complete rows.",
            "Training needs at least two, so that skill can be measured on a station not seen.",
        )
    if (rows.fold >= 0).all():
        if len(np.unique(rows.fold)) < 2:
            raise InputError(
                f"Every row is in fold {rows.fold[0]}.",
                "Give at least two folds, or empty the field fold.",
            )
        return rows.fold
    if folds < 2:
        raise InputError(f"FOLDS is {folds}.", "Give at least two folds.")
    return station_folds(rows.station, min(folds, stations), seed)


def covariates_of(rows: TrainingRows, info: Mapping[str, tuple[str, str]]) -> tuple[Covariate, ...]:
    """Return name, group, units, range and mean of each covariate of `rows`."""
    X = rows.X.astype(np.float64)
    return tuple(
        Covariate(
            name=name,
            group=info.get(name, ("", ""))[0],
            units=info.get(name, ("", ""))[1],
            minimum=float(X[:, i].min()),
            maximum=float(X[:, i].max()),
            mean=float(X[:, i].mean()),
        )
        for i, name in enumerate(rows.covariates)
    )


def period_of(rows: TrainingRows) -> tuple[str, str] | None:
    """Return first and last date as ISO text; None where no row has a date."""
    known = rows.date[~np.isnat(rows.date)]
    return (str(known.min()), str(known.max())) if len(known) else None


def provenance(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return program, versions, time and `steps` that made a model."""
    return {
        "program": "Soil Moisture Mapper",
        "version": plugin_version(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit_learn": sklearn.__version__,
        "steps": [dict(step) for step in steps],
    }


def summary_of(rows: TrainingRows) -> dict[str, Any]:
    """Return the number of rows, stations and networks, and the period, of `rows`."""
    networks = {str(name) for name in rows.network if name}
    return {
        "rows": len(rows),
        "stations": len(np.unique(rows.station.astype(str))),
        "networks": sorted(networks),
        "period": period_of(rows),
    }


def _predict_networks(
    rows: TrainingRows, settings: ForestSettings, progress: Progress
) -> HeldOut | None:
    if len({str(name) for name in rows.network if name}) < MIN_NETWORKS:
        return None
    return predict_folds(rows, network_folds(rows.network), settings, progress)[0]


def _tune(
    rows: TrainingRows, fold: np.ndarray, settings: ForestSettings, progress: Progress
) -> tuple[dict[str, Any], ...]:
    tried = []
    for i, min_leaf in enumerate(TUNED_LEAVES):
        part = progress.part(i / len(TUNED_LEAVES), (i + 1) / len(TUNED_LEAVES))
        largest = replace(settings, trees=max(TUNED_TREES), min_leaf=min_leaf)
        square = _squares_by_trees(rows, fold, largest, part)
        for trees in TUNED_TREES:
            rmse = float(np.sqrt(square[trees] / len(rows)))
            tried.append({"trees": trees, "min_leaf": min_leaf, "rmse": rmse})
    best = min(range(len(tried)), key=lambda i: tried[i]["rmse"])
    return tuple({**row, "chosen": i == best} for i, row in enumerate(tried))


def _squares_by_trees(
    rows: TrainingRows, fold: np.ndarray, settings: ForestSettings, progress: Progress
) -> dict[int, float]:
    """Return the sum of squared errors of the first 10, 20, … trees of the same forests."""
    names = np.unique(fold)
    square = dict.fromkeys(TUNED_TREES, 0.0)
    for i, name in enumerate(names):
        part = progress.part(i / len(names), (i + 1) / len(names))
        test = rows.take(fold == name)
        forest = settings.grow(rows.take(fold != name), part, keep_rows=False)
        values = forest.value[find_leaves(forest, test.X)]
        for trees in TUNED_TREES:
            square[trees] += float(((values[:, :trees].mean(axis=1) - test.y) ** 2).sum())
    return square


def _build_model(
    rows: TrainingRows,
    forest: Forest,
    settings: TrainSettings,
    calibration: Calibration | None,
) -> Model:
    hyperparameters = {
        "trees": settings.forest.trees,
        "min_leaf": settings.forest.min_leaf,
        "max_features": settings.forest.max_features,
        "seed": settings.forest.seed,
        "folds": settings.folds,
        "tuned": settings.tune,
    }
    step = {"algorithm": "trainmodel", **summary_of(rows), "inputs": dict(settings.inputs)}
    return Model(
        method=settings.forest.method,
        forest=forest,
        covariates=covariates_of(rows, settings.covariate_info),
        target=settings.target,
        station_field=settings.station_field,
        date_field=settings.date_field,
        class_fields=settings.class_fields,
        depth=rows.depth,
        period=period_of(rows),
        spike_dates=(),
        hyperparameters=hyperparameters,
        metrics=(),
        calibration=calibration,
        provenance=provenance([step]),
        training=rows,
        local=None,
        kind="trained",
    )
