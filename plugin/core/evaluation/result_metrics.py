"""The metrics table of a training, a spiking and a validation."""

from __future__ import annotations

from typing import Any

from ..models.heldout import HeldOut
from ..models.spiking import SpikeResult
from ..models.training import TrainResult
from .metrics import Row, scope_table, score_table
from .validation import ValidationResult


def training_metrics(result: TrainResult) -> list[Row]:
    """Return the scores of the out-of-station predictions, source ``model``."""
    return heldout_scores(result.station, "model")


def spiking_metrics(result: SpikeResult) -> list[Row]:
    """Return the scores before spiking, then those after.

    ``overall`` to ``station_median`` are of the validate stations where there are any,
    ``spike_loso`` of the spike stations, each left out in turn, from four on.
    """
    rows = []
    sides = (
        ("before", result.validate_before, result.loso_before),
        ("after", result.validate_after, result.loso_after),
    )
    for source, validate, loso in sides:
        if validate is not None:
            rows += heldout_scores(validate, source)
        if loso is not None:
            rows += loso_scores(loso, source)
    return rows


def validation_metrics(result: ValidationResult) -> list[Row]:
    """Return the scores of the model, then those of the baseline where it has values."""
    rows = heldout_scores(result.held, "model")
    if result.baseline is not None:
        shared = _shared(result.held)
        network = result.held.rows.network
        rows += score_table(predicted=result.baseline, network=network, source="baseline", **shared)
    return rows


def heldout_scores(held: HeldOut, source: str) -> list[Row]:
    """Score predictions overall and by network, class, season and station."""
    network = held.rows.network
    return score_table(network=network, source=source, **_shared(held), **_predicted(held))


def loso_scores(held: HeldOut, source: str) -> list[Row]:
    """Score predictions of left-out spike stations, pooled and by class."""
    return scope_table("spike_loso", source=source, **_shared(held), **_predicted(held))


def _shared(held: HeldOut) -> dict[str, Any]:
    rows = held.rows
    return {
        "observed": rows.y,
        "station": rows.station,
        "date": rows.date,
        "classes": rows.classes,
    }


def _predicted(held: HeldOut) -> dict[str, Any]:
    low, high = held.bounds(0.9)
    return {"predicted": held.mean, "lower": low, "upper": high}
