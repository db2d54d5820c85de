"""Spiking: refit a model with the readings of a few local stations, and say what it brought."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ..progress import Progress
from ..stations.folds.splits import station_folds
from ..stations.rows import TrainingRows
from .calibration import Calibration, Margins
from .forest import Forest
from .heldout import ForestSettings, HeldOut, predict_folds, predict_rows
from .record import Model
from .spike_fits import (
    SpikeTask,
    cross_calibrate_spikes,
    leave_out,
    leave_out_local,
    spiked_margins,
    station_names,
)
from .spike_input import check_spikes, global_rows
from .training import covariates_of, period_of, provenance, summary_of
from .verdict import Candidate, Verdict, choose_candidate, judge

MIN_SPIKES = 4
SHARES = (0.0, 0.25, 0.50, 0.75)
GLOBAL_FOLDS = 5
LARGE_ROWS = 20_000
SEARCH_TREES = 25


@dataclass(frozen=True)
class SpikeSettings:
    """How a model is spiked.

    Attributes
    ----------
    weight : float
        Of a local row relative to a global row; 0 = chosen by leave-one-spike-station-out.
    allow_depth_mismatch : bool
        Accept local readings from a depth the model was not trained for.
    seed, threads : int
    inputs : mapping
        What the user chose, for the provenance.
    """

    weight: float = 0.0
    allow_depth_mismatch: bool = False
    seed: int = 42
    threads: int = 2
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SpikeResult:
    """A spiked model and everything that judges it.

    Attributes
    ----------
    model, base : Model
        After and before spiking.
    spikes : TrainingRows
        The local rows in the model.
    weight : float
        Of a local row relative to a global row.
    automatic : bool
        Whether the weight was chosen here.
    candidates : tuple of Candidate
        What was compared for the automatic weight; empty without a search.
    verdict : Verdict or None
        None below four spike stations.
    loso_before, loso_after, loso_local : HeldOut or None
        Spike stations predicted by the base model, by spiked models that left the station out, and
        by local readings alone. None below four spike stations.
    validate_before, validate_after, validate_local : HeldOut or None
        Stations of the role validate predicted by the base, the spiked and the local-only model.
    spread : HeldOut or None
        Global stations by station folds in which every fit holds all spikes.
    """

    model: Model
    base: Model
    spikes: TrainingRows
    weight: float
    automatic: bool
    candidates: tuple[Candidate, ...] = ()
    verdict: Verdict | None = None
    loso_before: HeldOut | None = None
    loso_after: HeldOut | None = None
    loso_local: HeldOut | None = None
    validate_before: HeldOut | None = None
    validate_after: HeldOut | None = None
    validate_local: HeldOut | None = None
    spread: HeldOut | None = None


def spike_model(
    base: Model,
    spikes: TrainingRows,
    settings: SpikeSettings,
    *,
    validation: TrainingRows | None = None,
    progress: Progress | None = None,
) -> SpikeResult:
    """Refit the forest of `base` on its own rows and the local ones [1]_.

    From four spike stations on, each is left out once. That gives the weight (the first of pooled,
    25, 50 and 75 % of the training weight that is within one standard error of the best), the
    verdict, and the local part of the interval margins. Below four the weight is 1 and the
    intervals keep the margins of the base model.

    Parameters
    ----------
    base : Model
        Trained, with its training rows.
    spikes : TrainingRows
        Local rows to add.
    validation : TrainingRows, optional
        Local rows of other stations, to judge by.

    Raises
    ------
    InputError
        A base model without training rows or spiked already, other covariates, another depth, or a
        weight that is not positive.
    Cancelled
        The user stopped the run.

    References
    ----------
    .. [1] Huang, J. et al. (2020). Retrieving heterogeneous surface soil moisture at 100 m across
       the globe via fusion of remote sensing and land surface parameters. Frontiers in Water 2,
       578367. https://doi.org/10.3389/frwa.2020.578367
    """
    progress = progress or Progress()
    check_spikes(base, spikes, settings.weight, settings.allow_depth_mismatch, progress)
    globe = global_rows(base, spikes, validation, progress)
    forests = _forest_settings(base, settings)
    before = _base_forest(base, globe, forests, progress.part(0.0, 0.05))
    _tell_majority(globe, spikes, progress)
    task = SpikeTask(base, globe, spikes, forests, before)
    if len(station_names(spikes)) < MIN_SPIKES:
        result = _spike_few(task, settings, progress)
    else:
        result = _spike_many(task, settings, progress)
    return _judge_validation(task, result, validation)


def _tell_majority(globe: TrainingRows, spikes: TrainingRows, progress: Progress) -> None:
    """Warn where the local rows outnumber the global ones even at the smallest weight."""
    if len(spikes) > len(globe):
        progress.warn(
            f"There are more rows to spike with ({len(spikes)} of {len(station_names(spikes))} "
            f"stations) than the model was trained on ({len(globe)} of "
            f"{len(station_names(globe))}): at any weight it rests mostly on local readings. "
            "Compare it with local readings alone."
        )


def _spike_few(task: SpikeTask, settings: SpikeSettings, progress: Progress) -> SpikeResult:
    count = len(station_names(task.spikes))
    automatic = settings.weight == 0
    if automatic:
        progress.warn(
            f"With {count} spike stations (fewer than {MIN_SPIKES}) no weight can be learned: "
            "local rows weigh as much as global rows, and the intervals keep the margins of the "
            "model before spiking."
        )
    weight = 1.0 if automatic else settings.weight
    calibration = task.base.calibration
    if calibration is not None:
        kept = calibration.network or calibration.margins
        calibration = replace(calibration, spiked=kept, applied="spiked")
    model = _fit(task, weight, calibration, settings, progress.part(0.1, 1.0))
    return SpikeResult(model, task.base, task.spikes, weight, automatic)


def _spike_many(task: SpikeTask, settings: SpikeSettings, progress: Progress) -> SpikeResult:
    automatic = settings.weight == 0
    candidates: tuple[Candidate, ...] = ()
    after = None
    weight_of: Callable[[TrainingRows], float] = partial(_given, settings.weight)
    if automatic:
        candidates, after = _search(task, progress.part(0.05, 0.55))
        share = next(c.share for c in candidates if c.chosen)
        weight_of = partial(task.weight_of, share)
    weight = weight_of(task.spikes)
    if after is None:
        after = leave_out(task, weight_of, progress.part(0.55, 0.65))
    local = leave_out_local(task, progress.part(0.65, 0.7))
    before = predict_rows(task.before, task.spikes).with_margins(_margins_of(task.base))
    spread, _ = predict_folds(
        task.globe,
        _global_folds(task.globe, settings.seed),
        task.settings,
        progress.part(0.7, 0.9),
        always=replace(task.spikes, weight=task.spikes.weight * weight),
    )
    spiked = spiked_margins(spread, after)
    after = cross_calibrate_spikes(spread, after)
    old = task.base.calibration
    calibration = Calibration(
        station=old.station if old else None,
        network=old.network if old else None,
        spiked=spiked,
        applied="spiked",
    )
    model = _fit(task, weight, calibration, settings, progress.part(0.9, 1.0))
    return SpikeResult(
        model,
        task.base,
        task.spikes,
        weight,
        automatic,
        candidates,
        judge(before.station_errors(), after.station_errors(), local.station_errors()),
        loso_before=before,
        loso_after=after,
        loso_local=local,
        spread=spread.with_margins(spiked),
    )


def _given(weight: float, _: TrainingRows) -> float:
    return weight


def _search(task: SpikeTask, progress: Progress) -> tuple[tuple[Candidate, ...], HeldOut | None]:
    """Compare the candidate weights; return them and, where full forests were used, the best's."""
    shares = _distinct_shares(task)
    rows = len(task.globe) + len(task.spikes)
    fewer = rows > LARGE_ROWS and task.settings.trees > SEARCH_TREES
    searched = task
    if fewer:
        searched = replace(task, settings=replace(task.settings, trees=SEARCH_TREES))
        progress.info(f"The weight is searched with {SEARCH_TREES} trees: there are many rows.")
    held = []
    for i, share in enumerate(shares):
        part = progress.part(i / len(shares), (i + 1) / len(shares))
        held.append(leave_out(searched, partial(task.weight_of, share), part))
    errors = [one.station_errors() for one in held]
    weights = [task.weight_of(share, task.spikes) for share in shares]
    candidates = choose_candidate(shares, weights, errors)
    chosen = next(i for i, c in enumerate(candidates) if c.chosen)
    return candidates, None if fewer else held[chosen]


def _judge_validation(
    task: SpikeTask, result: SpikeResult, validation: TrainingRows | None
) -> SpikeResult:
    if validation is None or not len(validation):
        return result
    local = task.local_settings(task.spikes).grow(task.spikes)
    return replace(
        result,
        validate_before=predict_rows(task.before, validation).with_margins(_margins_of(task.base)),
        validate_after=predict_rows(result.model.forest, validation).with_margins(
            _margins_of(result.model)
        ),
        validate_local=predict_rows(local, validation),
    )


def _fit(
    task: SpikeTask,
    weight: float,
    calibration: Calibration | None,
    settings: SpikeSettings,
    progress: Progress,
) -> Model:
    base = task.base
    rows = task.joined(task.spikes, weight)
    forest = task.settings.grow(rows, progress)
    known = task.spikes.date[~np.isnat(task.spikes.date)]
    step = {
        "algorithm": "spikemodel",
        **summary_of(task.spikes),
        "weight": weight,
        "share": task.share_of(weight),
        "automatic": settings.weight == 0,
        "inputs": dict(settings.inputs),
    }
    info = {c.name: (c.group, c.units) for c in base.covariates}
    return replace(
        base,
        forest=forest,
        covariates=covariates_of(rows, info),
        period=period_of(rows),
        spike_dates=tuple(str(day) for day in np.unique(known)),
        hyperparameters={**base.hyperparameters, "seed": settings.seed, "local_weight": weight},
        metrics=(),
        calibration=calibration,
        provenance=provenance([*base.provenance.get("steps", []), step]),
        training=rows,
        local=np.arange(len(rows)) >= len(task.globe),
        kind="spiked",
    )


def _margins_of(model: Model) -> Margins | None:
    return model.calibration.margins if model.calibration else None


def _forest_settings(base: Model, settings: SpikeSettings) -> ForestSettings:
    stated = ForestSettings.stated(base.hyperparameters, base.method, threads=settings.threads)
    return replace(stated, seed=settings.seed)


def _global_folds(rows: TrainingRows, seed: int) -> np.ndarray:
    """Return folds that each hold stations of every network.

    The map's model holds all of them: a fold that took a network away whole would widen the
    intervals by what the map does not suffer (own choice; measured close to leaving out one
    station at a time).
    """
    folds = min(GLOBAL_FOLDS, len(station_names(rows)))
    return station_folds(rows.station, folds, seed, spread=rows.network)


def _distinct_shares(task: SpikeTask) -> list[float]:
    """Return the candidate shares, less those at which the weight is 1 as in pooling."""
    return [s for s in SHARES if s == 0 or task.weight_of(s, task.spikes) > 1]


def _base_forest(
    base: Model, globe: TrainingRows, settings: ForestSettings, progress: Progress
) -> Forest:
    """Return the forest before spiking; grown anew where local stations were taken out of it."""
    if base.training is not None and len(globe) == len(base.training):
        return base.forest
    seed = int(base.hyperparameters.get("seed", settings.seed))
    return replace(settings, seed=seed).grow(globe, progress)
