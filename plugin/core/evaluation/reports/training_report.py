"""The report of a training: data, skill at stations not seen, intervals and importance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...models.distribution import predict_forest
from ...models.heldout import Fold
from ...models.training import TrainResult
from ...progress import Progress
from ..importance import (
    HeldOutFold,
    Importance,
    Predict,
    by_importance,
    impurity_importance,
    permutation_importance,
)
from ..metrics import Row, find_row
from ..result_metrics import heldout_scores, training_metrics
from .figures import importance_figure
from .group_coverage_section import group_coverage_part, shortfall
from .intervals import POINT_NOTE, coverage_part, margins_table, station_coverage
from .report import (
    UNIT,
    Html,
    count,
    facts,
    gallery,
    heading,
    moment,
    number,
    page,
    paragraph,
    percent,
    picture,
    plural,
    section,
    table,
    tiles,
    write_page,
)
from .sections import (
    covariates_section,
    model_facts,
    rows_facts,
    scatter,
    score_lines,
    score_section,
    settings_section,
    station_map,
    warnings_box,
    whole_scores,
)


def training_report(
    result: TrainResult,
    path: Path,
    *,
    warnings: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Importance]:
    """Write the report of a training as one HTML file.

    Parameters
    ----------
    result : TrainResult
    path : Path
        An earlier file stays until the new one is complete.
    warnings : sequence of str
        What the run warned of.

    Returns
    -------
    list of Importance
        By permutation in held-out station folds, the most important first.
    """
    progress = progress or Progress()
    importances = training_importance(result, progress.part(0.0, 0.8))
    rows = training_metrics(result)
    overall = find_row(rows, "overall", "model")
    model = result.model
    html = page(
        "Training report",
        f"Soil moisture model of {plural(len(result.station), 'row')}; made by "
        f"{model.provenance.get('program', '')} {model.provenance.get('version', '')}, "
        f"{moment(str(model.provenance.get('created', '')))}",
        _summary(result, overall or {}),
        warnings_box(warnings),
        section("Data", facts(rows_facts(result.station.rows))),
        score_section(rows, {"model": "model"}, "Skill at stations not seen"),
        _network_part(result),
        section(
            "Measured against predicted",
            gallery(
                scatter(result.station, "stations not seen"),
                station_map(result.station, "stations not seen"),
            ),
        ),
        _interval_section(result),
        _importance_section(result, importances),
        section("Model", facts(model_facts(model))),
        covariates_section(model),
        _tuning_section(result),
        settings_section(model),
    )
    write_page(html, path)
    progress.report(1.0)
    return importances


def training_importance(result: TrainResult, progress: Progress | None = None) -> list[Importance]:
    """Return permutation importance in the held-out station folds, the most important first."""
    seed = int(result.model.hyperparameters.get("seed", 42))
    found = permutation_importance(
        _held_out_folds(result), result.model.names, seed=seed, progress=progress
    )
    return by_importance(found)


def _held_out_folds(result: TrainResult) -> Iterator[HeldOutFold]:
    rows = result.station.rows
    for fold in result.folds:
        yield _mean_of(fold), rows.X[fold.rows], rows.y[fold.rows]


def _mean_of(fold: Fold) -> Predict:
    return lambda X: predict_forest(fold.forest, X).mean


def _summary(result: TrainResult, overall: Row) -> Html:
    stations = plural(overall["stations"], "station")
    rests = f"{plural(overall['n'], 'row')}, {stations}"
    items = [
        ("RMSE", number(overall["rmse"]), UNIT),
        ("Bias (ME)", number(overall["me"], signed=True), UNIT),
        ("R²", number(overall["r2"], 2), rests),
        ("Correlation r", number(overall["r"], 2), rests),
    ]
    if overall["picp90"] is not None:
        items.append(
            (
                "Inside the 90 % interval",
                percent(overall["picp90"]),
                f"width {number(overall['width90'])} {UNIT}",
            )
        )
    narrow = shortfall(result.station)
    return Html(
        paragraph(
            f"At stations the model had not seen, its predictions are off by "
            f"{number(overall['rmse'])} {UNIT} (RMSE) with a bias of "
            f"{number(overall['me'], signed=True)} {UNIT}. Each station was predicted by a forest "
            f"grown without it, in {plural(len(result.folds), 'fold')} of whole stations.",
            kind="lead",
        )
        + (paragraph(narrow) if narrow else "")
        + tiles(items)
    )


def _network_part(result: TrainResult) -> Html:
    if result.network is None:
        return section(
            "Skill in networks not seen",
            paragraph(
                "There are fewer than three networks, so it was not measured how the model does in "
                "a network it has not seen. A new field is a new network: expect larger errors "
                "there than above."
            ),
        )
    rows = heldout_scores(result.network, "model")
    networks = [row for row in rows if row["scope"] == "network"]
    return section(
        "Skill in networks not seen",
        paragraph(
            "Each network was predicted by a forest grown on the other networks: this is what to "
            "expect of an unspiked map of a new field."
        ),
        whole_scores(rows, {"model": "model"}),
        score_lines(networks, "network left out", {"model": "model"}),
    )


def _interval_section(result: TrainResult) -> Html:
    raw = result.model.forest.has_distribution
    parts = [
        paragraph(POINT_NOTE),
        heading("New station of a known network"),
        _station_share(station_coverage(result.station)),
        coverage_part(result.station, "stations not seen", raw=raw),
        group_coverage_part(result.station, "stations not seen", raw=raw),
    ]
    if result.network is not None:
        parts += [
            heading("New network"),
            _station_share(station_coverage(result.network)),
            coverage_part(result.network, "networks not seen", raw=raw),
            group_coverage_part(result.network, "networks not seen", raw=raw),
        ]
    parts += [heading("Margins"), margins_table(result.model.calibration)]
    return section("Prediction intervals", *parts)


def _station_share(share: float | None) -> Html:
    if share is None:
        return Html("")
    return paragraph(
        f"Calibrated 90 % intervals hold {percent(share)} of the readings, each station counting "
        "alike. The margins tested here never rest on the station (or network) they are tested on."
    )


def _importance_section(result: TrainResult, importances: Sequence[Importance]) -> Html:
    if not importances:
        return Html("")
    purity = {
        item.covariate: item.value
        for item in impurity_importance(result.model.forest, result.model.names)
    }
    total = sum(purity.values()) or 1.0
    groups = {c.name: c.group for c in result.model.covariates}
    rows = [
        [
            item.covariate,
            groups.get(item.covariate) or "–",
            number(1e4 * item.value, 2),
            number(1e4 * (item.sd or 0.0), 2),
            percent(purity[item.covariate] / total, 1),
        ]
        for item in importances
    ]
    names = [item.covariate for item in importances]
    figure = importance_figure(
        names, [item.value for item in importances], [item.sd or 0.0 for item in importances]
    )
    return section(
        "Importance of covariates",
        paragraph(
            "How much the mean squared error at stations not seen rises when the values of one "
            "covariate are shuffled. Covariates that tell much the same hide each other; about 0 "
            "or below: not needed beside the others."
        ),
        gallery(
            picture(
                figure,
                "Rise of the mean squared error, mean ± SD over folds and 5 permutations each.",
                "Bars of permutation importance",
            )
        ),
        table(
            ["covariate", "group", "rise of MSE", "SD", "share of splitting"],
            rows,
            caption="Rise of MSE and its SD in 10⁻⁴ (m³ m⁻³)²; share of splitting: of the whole "
            "decrease of the sum of squares (IncNodePurity), on the training rows.",
            text_columns=2,
        ),
    )


def _tuning_section(result: TrainResult) -> Html:
    rows = [[count(r["trees"]), count(r["min_leaf"]), number(r["rmse"], 4)] for r in result.tuning]
    marked = [i for i, row in enumerate(result.tuning) if row["chosen"]]
    if not rows:
        return Html("")
    return section(
        "Tuning",
        paragraph("The setting of the smallest RMSE in the station folds was taken (marked)."),
        table(["trees", "smallest leaf", f"RMSE ({UNIT})"], rows, text_columns=0, marked=marked),
    )
