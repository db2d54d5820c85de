"""Score a model on measurements, beside a product that was there before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..models.heldout import HeldOut, predict_rows
from ..models.record import SPIKE_DAYS, Model
from ..progress import Progress
from ..stations.rows import TrainingRows
from ..stations.table import Table


@dataclass(frozen=True, eq=False)
class ValidationResult:
    """What a model says of measured rows.

    Attributes
    ----------
    model : Model
    held : HeldOut
        Predictions for the rows, calibrated where the model is.
    baseline : ndarray, shape (n,), or None
        Values of the product to compare with, m³ m⁻³; NaN where missing.
    baseline_name : str
    """

    model: Model
    held: HeldOut
    baseline: np.ndarray | None = None
    baseline_name: str = ""


def validate_model(
    model: Model,
    rows: TrainingRows,
    *,
    baseline: np.ndarray | None = None,
    baseline_name: str = "baseline",
    progress: Progress | None = None,
) -> ValidationResult:
    """Predict `rows` with `model`, and warn of what the scores then do not show.

    Parameters
    ----------
    model : Model
    rows : TrainingRows
        With at least the model's covariates.
    baseline : ndarray, shape (n,), optional
        Values of another product in the order of `rows`, NaN where missing.
    baseline_name : str
        Name of the field it comes from.

    Raises
    ------
    InputError
        Where a covariate of the model is missing, or the baseline is empty or in percent.
    """
    progress = progress or Progress()
    held = predict_rows(model.forest, _in_model_order(rows, model))
    margins = model.calibration.margins if model.calibration else None
    held = held.with_margins(margins)
    if baseline is not None:
        _check_baseline(baseline, rows, baseline_name, progress)
    for text in cautions(model, held.rows):
        progress.warn(text)
    progress.report(1.0)
    return ValidationResult(model, held, baseline, baseline_name if baseline is not None else "")


def shared_rows(result: ValidationResult) -> tuple[HeldOut, HeldOut] | None:
    """Return model and baseline on the rows where both have a value; None without a baseline."""
    if result.baseline is None:
        return None
    both = np.isfinite(result.baseline)
    held = result.held.take(both)
    return held, replace(held, mean=result.baseline[both], calibrated=None)


def residual_table(result: ValidationResult) -> Table:
    """Return measured, predicted and residual of each row, at its position.

    Columns: station, network, date, measured, predicted, residual (predicted − measured), q05,
    q95 and inside (1 or 0; all three empty without calibration), the class fields, and baseline
    and baseline_residual where there is a baseline.
    """
    held = result.held
    rows = held.rows
    low, high = held.bounds(0.9)
    inside = np.where(np.isnan(low), np.nan, ((low <= rows.y) & (rows.y <= high)).astype(float))
    columns: dict[str, np.ndarray] = {
        "station": rows.station,
        "network": rows.network,
        "date": rows.date,
        "measured": rows.y,
        "predicted": held.mean,
        "residual": held.mean - rows.y,
        "q05": low,
        "q95": high,
        "inside": inside,
    }
    columns.update({name: v for name, v in rows.classes.items() if name not in columns})
    if result.baseline is not None:
        columns["baseline"] = result.baseline
        columns["baseline_residual"] = result.baseline - rows.y
    return Table(columns, rows.x, rows.y_coord, rows.crs)


def cautions(model: Model, rows: TrainingRows) -> list[str]:
    """Return what a reader of the scores of `model` on `rows` has to know."""
    found = [_seen_stations(model, rows), _other_depth(model, rows)]
    found += [_outside_ranges(model, rows), _far_from_spikes(model, rows)]
    return [text for text in found if text]


def days_from(days: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how many days each day is from the nearest of the `known` ones, (n,)."""
    ordered = np.sort(known.astype("datetime64[D]")).astype(np.int64)
    wanted = days.astype("datetime64[D]").astype(np.int64)
    after = np.clip(np.searchsorted(ordered, wanted), 0, len(ordered) - 1)
    before = np.maximum(after - 1, 0)
    return np.minimum(np.abs(ordered[after] - wanted), np.abs(ordered[before] - wanted))


def _in_model_order(rows: TrainingRows, model: Model) -> TrainingRows:
    missing = [name for name in model.names if name not in rows.covariates]
    if missing:
        raise InputError(
            f"The table lacks the covariates {', '.join(missing)} of the model.",
            "Sample them with samplecovariates.",
        )
    columns = [rows.covariates.index(name) for name in model.names]
    return replace(rows, X=np.ascontiguousarray(rows.X[:, columns]), covariates=model.names)


def _check_baseline(
    baseline: np.ndarray, rows: TrainingRows, name: str, progress: Progress
) -> None:
    there = np.isfinite(baseline)
    if baseline.shape != rows.y.shape or not there.any():
        raise InputError(
            f"The baseline field '{name}' has no value in the rows to validate.",
            "Choose a field that is filled, or leave BASELINE empty.",
        )
    highest = float(np.max(baseline[there]))
    if highest > 1.0:
        raise InputError(
            f"The baseline field '{name}' holds values up to {highest:g}: it looks like percent.",
            "Give soil moisture in m³ m⁻³ (divide by 100).",
        )
    if not there.all():
        progress.warn(
            f"The baseline '{name}' is missing in {int((~there).sum())} of {len(baseline)} rows; "
            "it is scored on the others, and the report sets the model beside it on these."
        )


def _seen_stations(model: Model, rows: TrainingRows) -> str:
    if model.training is None:
        return ""
    trained = {_key(n, s) for n, s in zip(model.training.network, model.training.station)}
    here = {_key(n, s) for n, s in zip(rows.network, rows.station)}
    seen = sorted(station for _, station in here & trained)
    if not seen:
        return ""
    shown = ", ".join(seen[:10]) + (" …" if len(seen) > 10 else "")
    return (
        f"{len(seen)} of {len(here)} stations are among the model's training stations ({shown}): "
        "the scores there are not those of unseen stations."
    )


def _key(network: str, station: str) -> tuple[str, str]:
    return str(network), str(station)


def _other_depth(model: Model, rows: TrainingRows) -> str:
    if model.depth is None or rows.depth is None:
        return ""
    if model.depth[0] <= rows.depth[1] and rows.depth[0] <= model.depth[1]:
        return ""
    return (
        f"The readings are from {rows.depth[0]:g} to {rows.depth[1]:g} m, the model was trained "
        f"on {model.depth[0]:g} to {model.depth[1]:g} m."
    )


def _outside_ranges(model: Model, rows: TrainingRows) -> str:
    low = np.array([c.minimum for c in model.covariates])
    high = np.array([c.maximum for c in model.covariates])
    # ranges are of float32 values: one rounding step is no difference
    slack = 1e-6 * np.maximum(np.abs(low), np.abs(high))
    values = rows.X
    outside = (values < low - slack) | (values > high + slack)
    if not outside.any():
        return ""
    share = outside.mean(axis=0)
    order = [i for i in np.argsort(-share, kind="stable") if share[i] > 0][:5]
    listed = ", ".join(f"{model.names[i]} {100 * share[i]:.0f} %" for i in order)
    return (
        f"{100 * outside.any(axis=1).mean():.0f} % of the rows have a covariate outside the range "
        f"the model was trained on ({listed})."
    )


def _far_from_spikes(model: Model, rows: TrainingRows) -> str:
    days = rows.date[~np.isnat(rows.date)]
    if not model.spike_dates or not len(days):
        return ""
    known = np.array(model.spike_dates, dtype="datetime64[D]")
    far = int((days_from(days, known) > SPIKE_DAYS).sum())
    if not far:
        return ""
    return (
        f"{far} of {len(days)} rows are more than {SPIKE_DAYS} days from any probe reading the "
        "model was spiked with: the local correction is untested there."
    )
