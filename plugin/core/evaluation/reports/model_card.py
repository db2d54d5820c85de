"""The model card: everything a model file says, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...models.record import SPIKE_DAYS, Model
from ..importance import by_importance, impurity_importance
from ..metrics import COLUMNS, SCOPES, Row, find_row
from .figures import importance_figure
from .intervals import POINT_NOTE, margins_table
from .report import (
    UNIT,
    Html,
    bullets,
    count,
    facts,
    folded,
    gallery,
    moment,
    number,
    page,
    paragraph,
    percent,
    picture,
    section,
    tiles,
    write_page,
)
from .sections import (
    class_scores,
    covariates_section,
    depth_text,
    model_facts,
    rows_facts,
    score_lines,
    score_section,
    settings_section,
)

_LABELS = {"model": "model", "before": "before", "after": "spiked"}


def model_card(model: Model, path: Path, *, name: str = "") -> None:
    """Write what a model is, what it rests on and what it can do as one HTML file.

    Parameters
    ----------
    model : Model
    path : Path
        An earlier file stays until the new one is complete.
    name : str
        What the model file is called.
    """
    metrics = stored_scores(model)
    origin = model.provenance
    html = page(
        f"Model card: {name}" if name else "Model card",
        f"Soil moisture model made by {origin.get('program', 'an unknown program')} "
        f"{origin.get('version', '')}, {moment(str(origin.get('created', '')))}",
        _tiles(metrics),
        section("What it is", facts([*model_facts(model), *_forest_facts(model)])),
        section("What to use it for, and what not", bullets(_uses(model))),
        _skill(metrics),
        section("Prediction intervals", paragraph(POINT_NOTE), margins_table(model.calibration)),
        covariates_section(model),
        _importance(model),
        _training(model),
        _spikes(model),
        settings_section(model),
    )
    write_page(html, path)


def stored_scores(model: Model) -> list[Row]:
    """Return the scores in a model, those of another version filled up, what is none left out."""
    numbers = [name for name in COLUMNS if name not in ("scope", "group", "source")]
    rows = []
    for stored in model.metrics:
        named = {key: stored.get(key) for key in ("scope", "group", "source")}
        values = {name: _stored_number(stored.get(name)) for name in numbers}
        texts = all(isinstance(text, str) for text in named.values())
        if texts and named["scope"] in SCOPES and values["n"] is not None:
            values["stations"] = values["stations"] or 0
            rows.append({**named, **values})
    return rows


def _stored_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def _tiles(metrics: Sequence[Row]) -> Html:
    for scope, source, where in (
        ("overall", "after", "validate stations, spiked"),
        ("spike_loso", "after", "spike stations left out"),
        ("overall", "model", "stations not seen"),
    ):
        row = find_row(metrics, scope, source)
        if row is None or row["rmse"] is None:
            continue
        rests = f"{where}, n = {count(row['n'])}"
        items = [
            ("RMSE", number(row["rmse"]), f"{UNIT}; {rests}"),
            ("Bias (ME)", number(row["me"], signed=True), UNIT),
        ]
        if row["picp90"] is not None:
            width = f"width {number(row['width90'])} {UNIT}"
            items.append(("Inside the 90 % interval", percent(row["picp90"]), width))
        return tiles(items)
    return Html("")


def _forest_facts(model: Model) -> list[tuple[str, str]]:
    return [
        ("Nodes", count(len(model.forest.feature))),
        ("Quantiles", "yes" if model.forest.has_distribution else "by calibrated margins only"),
        ("Training rows in the file", "yes" if model.training is not None else "no"),
    ]


def _uses(model: Model) -> list[str]:
    """Return what the model is good for, in sentences."""
    depth = f", {depth_text(model.depth)}," if model.depth else ""
    texts = [
        f"It predicts volumetric soil moisture ({UNIT}){depth} from {len(model.covariates)} "
        "covariates, of the same names and units as below.",
    ]
    if model.period:
        texts.append(
            f"Its readings are from {model.period[0]} to {model.period[1]}: other seasons and "
            "weather are untested."
        )
    if model.kind == "spiked":
        texts.append(
            "It was spiked with local readings, so it is meant for the field they come from, and "
            f"for days within {SPIKE_DAYS} days of one of them."
        )
    else:
        texts.append(
            "It has no readings of the field it will map: spike it with a few probes there, and "
            "expect bias until then."
        )
    if model.training is None:
        texts.append(
            "It holds no training rows, so it cannot be spiked: train again with EMBED_TRAINING."
        )
    texts.append("Covariates outside the ranges below are extrapolation, which forests cannot do.")
    return texts


def _skill(metrics: Sequence[Row]) -> Html:
    if not metrics:
        return section("Skill", paragraph("The file holds no scores."))
    labels = {
        key: value for key, value in _LABELS.items() if any(r["source"] == key for r in metrics)
    }
    loso = [row for row in metrics if row["scope"] == "spike_loso"]
    others = [row for row in metrics if row["scope"] != "spike_loso"]
    parts = []
    if loso:
        whole = [row for row in loso if row["group"] == ""]
        parts.append(
            section(
                "Skill at spike stations, each left out in turn",
                score_lines(whole, "rows", labels),
                class_scores(loso, "spike_loso", labels),
            )
        )
    if others:
        title = "Skill at validate stations" if loso else "Skill at stations not seen"
        parts.append(score_section(others, labels, title))
    return Html("".join(parts))


def _importance(model: Model) -> Html:
    items = by_importance(impurity_importance(model.forest, model.names))
    total = sum(item.value for item in items) or 1.0
    figure = importance_figure(
        [item.covariate for item in items],
        [item.value / total for item in items],
        label="share of the decrease of the sum of squares (%)",
        factor=100.0,
    )
    return section(
        "Importance of covariates",
        gallery(
            picture(
                figure,
                "How much the splits on each covariate lower the sum of squares of the training "
                "rows (IncNodePurity), of the whole. Covariates with many different values score "
                "high here; the training report has the importance at stations not seen.",
                "Bars of impurity importance",
            )
        ),
    )


def _training(model: Model) -> Html:
    if model.training is None:
        return Html("")
    if model.local is None:
        return section("Training rows", facts(rows_facts(model.training)))
    return Html(
        section(
            "Training rows before spiking", facts(rows_facts(model.training.take(~model.local)))
        )
        + section("Local rows", facts(rows_facts(model.training.take(model.local))))
    )


def _spikes(model: Model) -> Html:
    if not model.spike_dates:
        return Html("")
    dates = list(model.spike_dates)
    return section(
        "Dates of the probe readings it was spiked with",
        folded(f"{len(dates)} dates", paragraph(", ".join(dates)), opened=len(dates) <= 20),
    )
