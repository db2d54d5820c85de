"""The report and the scores of a bias correction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...models.alternatives import FEWEST_LEFT_OUT
from ...models.alternatives_model import CorrectionResult
from ...models.record import SPIKE_DAYS
from ...models.verdict import judge
from ..by_station import balanced_rmse
from ..metrics import Row
from ..result_metrics import heldout_scores, loso_scores
from .alternatives_section import alternatives_section, shift_text
from .intervals import POINT_NOTE, coverage_part, margins_table
from .report import (
    UNIT,
    Html,
    box,
    facts,
    number,
    page,
    paragraph,
    plural,
    section,
    strong,
    write_page,
)
from .sections import covariates_section, model_facts, rows_facts, settings_section, warnings_box

_SAID = {
    "helps": ("The bias correction helps here", "good"),
    "probably": ("The bias correction probably helps here", "fair"),
    "not shown": ("It is not shown that the bias correction helps here", "open"),
}


def correction_metrics(result: CorrectionResult) -> list[Row]:
    """Return the scores before and after, of the same scopes as those of a spiking."""
    rows: list[Row] = []
    bias = result.bias
    for source, validate, loso in (
        ("before", result.validate_before, result.before if bias.loso is not None else None),
        ("after", bias.validate, bias.loso),
    ):
        if validate is not None:
            rows += heldout_scores(validate, source)
        if loso is not None:
            rows += loso_scores(loso, source)
    return rows


def correction_report(
    result: CorrectionResult, path: Path, *, warnings: Sequence[str] = ()
) -> None:
    """Write the report of a bias correction as one HTML file.

    Parameters
    ----------
    result : CorrectionResult
    path : Path
        An earlier file stays until the new one is complete.
    warnings : sequence of str
        What the run warned of.
    """
    held = result.bias.loso
    loso = result.before if held is not None else None
    html = page(
        "Bias correction report",
        f"A model corrected by {plural(result.shift.stations, 'local station')} with "
        f"{plural(len(result.spikes), 'row')}",
        _verdict(result),
        warnings_box(warnings),
        alternatives_section(
            result.alternatives,
            [("before correction", loso)],
            [("before correction", result.validate_before)],
            "before correction",
            explained=False,
        ),
        section(
            "How far this holds",
            paragraph(POINT_NOTE),
            paragraph(
                "One number is added everywhere and on every day: places and seasons that the "
                "probes do not stand for keep their own error. On a day with no reading within "
                f"{SPIKE_DAYS} days the correction is untested; maps of such days carry a warning."
            ),
        ),
        _intervals(result),
        section("Local data", facts(rows_facts(result.spikes))),
        section("Model", facts(model_facts(result.model))),
        covariates_section(result.model),
        settings_section(result.model),
    )
    write_page(html, path)


def correction_verdict(result: CorrectionResult) -> tuple[list[str], str]:
    """Return what the correction brought, the main sentence first, and the kind of box."""
    shift = shift_text(result.shift)
    held = result.bias.loso
    if held is None:
        text = (
            f"With {plural(result.shift.stations, 'spike station')} it cannot be told whether the "
            f"correction helps here: at least {FEWEST_LEFT_OUT} are needed."
        )
        return [text, shift], "open"
    old = result.before.station_errors()
    verdict = judge(old, held.station_errors(), old)
    said, kind = _SAID[verdict.spiking]
    before, after = balanced_rmse(result.before), balanced_rmse(held)
    moved = "falls" if after < before else "rises"
    text = (
        f"{said}: at the {verdict.stations} spike stations, each left out in turn, the error "
        f"(RMSE, each station counting alike) {moved} from {number(before)} to {number(after)} "
        f"{UNIT}."
    )
    return [text, shift], kind


def _verdict(result: CorrectionResult) -> Html:
    (said, shift), kind = correction_verdict(result)
    return box(paragraph(strong(said), kind="lead"), paragraph(shift), kind=kind)


def _intervals(result: CorrectionResult) -> Html:
    held, earlier = result.bias.loso, result.before
    what = "spike stations left out"
    if result.bias.validate is not None:
        held, earlier = result.bias.validate, result.validate_before or earlier
        what = "validate stations"
    parts = [margins_table(result.model.calibration)]
    if held is not None and np.isfinite(held.raw).all():
        raw = result.model.forest.has_distribution
        parts.insert(0, coverage_part(held, f"{what}, corrected model", raw=raw, earlier=earlier))
    return section("Prediction intervals", *parts)
