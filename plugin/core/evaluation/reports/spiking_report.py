"""The report of a spiking: whether local readings helped, by how much, and what to expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...models.alternatives import Alternative
from ...models.heldout import HeldOut
from ...models.record import SPIKE_DAYS
from ...models.spiking import MIN_SPIKES, SpikeResult
from ...stations.rows import TrainingRows
from ..by_station import held_bias, held_rmse, score_changes
from ..metrics import Row, find_row, natural_order
from ..paired import FEWEST_STATIONS
from ..result_metrics import heldout_scores, loso_scores
from .alternatives_section import spiking_alternatives
from .figures import change_figure
from .group_coverage_section import group_coverage_part
from .intervals import POINT_NOTE, coverage_part, margins_table, station_coverage
from .report import (
    UNIT,
    Html,
    box,
    count,
    facts,
    folded,
    gallery,
    general,
    heading,
    join,
    number,
    page,
    paragraph,
    percent,
    picture,
    plural,
    section,
    strong,
    table,
    tiles,
    write_page,
)
from .sections import (
    class_scores,
    compared_figures,
    covariates_section,
    model_facts,
    rows_facts,
    score_lines,
    score_note,
    score_section,
    settings_section,
    warnings_box,
)
from .spiking_verdict import spike_stations, validation_text, verdict_text

LABELS = {"before": "before", "after": "spiked", "local": "local only"}

#: From this many spike stations on a distribution-free local 90 % interval is finite.
_SURE_SPIKES = 9


def spiking_report(
    result: SpikeResult,
    path: Path,
    *,
    warnings: Sequence[str] = (),
    alternatives: Sequence[Alternative] = (),
) -> None:
    """Write the report of a spiking as one HTML file.

    Parameters
    ----------
    result : SpikeResult
    path : Path
        An earlier file stays until the new one is complete.
    warnings : sequence of str
        What the run warned of.
    alternatives : sequence of Alternative
        What else the spike stations could have been used for.
    """
    loso = _scored(result.loso_before, result.loso_after, result.loso_local, loso_scores)
    judged = _scored(
        result.validate_before, result.validate_after, result.validate_local, heldout_scores
    )
    html = page(
        "Spiking report",
        f"{plural(spike_stations(result), 'local station')} with "
        f"{plural(len(result.spikes), 'row')} added to a model of "
        f"{plural(len(_global_rows(result)), 'row')}",
        _verdict_box(result, judged),
        _tiles(result, loso, judged),
        _limits(result),
        warnings_box(warnings),
        _loso_section(result, loso),
        _validate_section(result, judged),
        _test_section(result),
        _weight_section(result),
        spiking_alternatives(result, alternatives),
        _interval_section(result),
        section("Local data", facts(rows_facts(result.spikes)), _dates(result)),
        section("Global data", facts(rows_facts(_global_rows(result)))),
        section("Model", facts(model_facts(result.model))),
        covariates_section(result.model),
        settings_section(result.model),
    )
    write_page(html, path)


def _scored(
    before: HeldOut | None, after: HeldOut | None, local: HeldOut | None, score: Any
) -> list[Row]:
    sides = (("before", before), ("after", after), ("local", local))
    return [row for source, held in sides if held is not None for row in score(held, source)]


def _verdict_box(result: SpikeResult, judged: Sequence[Row]) -> Html:
    texts = verdict_text(result)
    verdict = result.verdict
    kind = {"helps": "good", "probably": "fair"}.get(verdict.spiking if verdict else "", "open")
    local_better = verdict is not None and verdict.local_may_do_better
    if local_better and kind == "good":
        kind = "fair"
    parts = [paragraph(strong(texts[0]), kind="lead")]
    parts += [paragraph(strong(text) if local_better else text) for text in texts[1:]]
    judgement = validation_text(result, judged)
    if judgement:
        parts.append(paragraph(judgement))
    return box(*parts, kind=kind)


def _tiles(result: SpikeResult, loso: Sequence[Row], judged: Sequence[Row]) -> Html:
    rows, scope, where = judged, "overall", "validate stations"
    if not judged:
        rows, scope, where = loso, "spike_loso", "spike stations left out"
    old, new = find_row(rows, scope, "before"), find_row(rows, scope, "after")
    if not old or not new:
        return Html("")
    rests = f"{where}, n = {count(new['n'])}"
    items = [
        ("RMSE", f"{number(old['rmse'])} → {number(new['rmse'])}", f"{UNIT}; {rests}"),
        ("Mean |ME|", f"{number(old['abs_me'])} → {number(new['abs_me'])}", f"{UNIT}; {rests}"),
        ("ubRMSE", f"{number(old['ubrmse'])} → {number(new['ubrmse'])}", f"{UNIT}; {rests}"),
        (
            "Inside the 90 % interval",
            f"{percent(old['picp90'])} → {percent(new['picp90'])}",
            f"width {number(old['width90'])} → {number(new['width90'])} {UNIT}",
        ),
        (
            "Weight of a local row",
            general(result.weight),
            "chosen automatically" if result.automatic else "set by the user",
        ),
    ]
    return tiles(items)


def _limits(result: SpikeResult) -> Html:
    stations = spike_stations(result)
    parts = [paragraph(POINT_NOTE)]
    if result.model.calibration is None:
        parts.append(paragraph("The model was not calibrated: its intervals are the forest's own."))
    elif stations < MIN_SPIKES:
        parts.append(
            paragraph(
                f"With fewer than {MIN_SPIKES} spike stations the intervals keep the margins of "
                "the model before spiking."
            )
        )
    if stations < _SURE_SPIKES:
        parts.append(
            paragraph(
                f"With {plural(stations, 'spike station')} the 90 % interval is ",
                strong("expected, not guaranteed"),
                f": below {_SURE_SPIKES} stations no finite local interval holds whatever the "
                "distribution.",
            )
        )
    parts.append(
        paragraph(
            f"The local correction is tested on the dates of the probe readings ({_span(result)}). "
            f"On a day with no reading within {SPIKE_DAYS} days it is untested; maps of such days "
            "carry a warning."
        )
    )
    return section("How far this holds", *parts)


def _loso_section(result: SpikeResult, rows: Sequence[Row]) -> Html:
    if result.loso_after is None or result.loso_before is None:
        return Html("")
    whole = [row for row in rows if row["group"] == ""]
    series = {"before": result.loso_before, "after": result.loso_after}
    if result.loso_local is not None:
        series["local"] = result.loso_local
    return section(
        "Spike stations, each left out in turn",
        paragraph(
            "For each spike station the model was spiked with the others only, so these are errors "
            "at places without a probe."
        ),
        score_note(),
        score_lines(whole, "rows", LABELS),
        class_scores(rows, "spike_loso", LABELS),
        _station_table(series),
        gallery(_change_picture(series, "spike stations left out")),
        compared_figures(
            result.loso_before,
            result.loso_after,
            ("spike stations before spiking", "spike stations left out, spiked"),
        ),
    )


def _validate_section(result: SpikeResult, rows: Sequence[Row]) -> Html:
    if result.validate_after is None or result.validate_before is None:
        return section(
            "Validate stations",
            paragraph(
                "The table has no rows of the role validate. Stations that take no part in the "
                "spiking are the best judges of it."
            ),
        )
    series = {"before": result.validate_before, "after": result.validate_after}
    if result.validate_local is not None:
        series["local"] = result.validate_local
    return join(
        score_section(rows, LABELS, "Validate stations", note=result.loso_after is None),
        section(
            "Validate stations in pictures",
            gallery(_change_picture(series, "validate stations")),
            compared_figures(
                result.validate_before,
                result.validate_after,
                ("validate stations before spiking", "validate stations, spiked"),
            ),
        ),
    )


def _change_picture(series: Mapping[str, HeldOut], what: str) -> Html:
    names = natural_order(set(next(iter(series.values())).rows.station.astype(str).tolist()))
    values = {}
    for key, held in series.items():
        bias = held_bias(held)
        values[LABELS[key]] = np.array([bias[name] for name in names])
    return picture(
        change_figure(names, values, f"mean error, predicted − measured ({UNIT})"),
        f"Mean error of each station, {what}"
        + (f"; the 40 of {len(names)} that changed most." if len(names) > 40 else "."),
        f"Mean error by station before and after spiking, {what}",
    )


def _station_table(series: Mapping[str, HeldOut]) -> Html:
    columns: list[Mapping[str, float]] = []
    header = ["station", "n"]
    for title, values in (("ME ", held_bias), ("RMSE ", held_rmse)):
        for key, held in series.items():
            header.append(title + LABELS[key])
            columns.append(values(held))
    stations = next(iter(series.values())).rows.station.astype(str)
    names = natural_order(set(stations.tolist()))
    rows = []
    for name in names:
        cells = [
            number(column[name], signed=header[i + 2].startswith("ME"))
            for i, column in enumerate(columns)
        ]
        rows.append([name, count(int((stations == name).sum())), *cells])
    return folded(
        f"By station ({len(names)})",
        table(header, rows, caption=f"ME and RMSE in {UNIT}"),
        opened=len(names) <= 20,
    )


def _test_section(result: SpikeResult) -> Html:
    lines = []
    pairs = (
        ("spike stations left out", result.loso_before, result.loso_after),
        ("validate stations", result.validate_before, result.validate_after),
    )
    for where, before, after in pairs:
        if before is None or after is None:
            continue
        for change in score_changes(before, after):
            test = change.test
            interval = "–"
            if test.low is not None:
                low, high = number(test.low, signed=True), number(test.high, signed=True)
                interval = f"{low} to {high}"
            shift = number(test.shift, signed=True)
            p_value = "–" if test.p is None else "< 0.001" if test.p < 0.001 else number(test.p)
            medians = [number(change.before), number(change.after)]
            lines.append([where, change.score, count(test.n), *medians, shift, interval, p_value])
    if not lines:
        return Html("")
    header = ["stations", "score", "n", "median before", "median after"]
    return section(
        "Is the change more than chance?",
        paragraph(
            "Wilcoxon's signed-rank test and the Hodges–Lehmann shift (after − before) with its "
            f"95 % interval, paired over stations, in {UNIT}; no test below {FEWEST_STATIONS} "
            "stations. ",
            strong("Descriptive"),
            ": stations of one field share dates and the model, so they are not independent. "
            "The signed ME is shown above and not tested.",
        ),
        table([*header, "shift", "95 % interval", "p"], lines, text_columns=2),
    )


def _weight_section(result: SpikeResult) -> Html:
    if not result.candidates:
        text = f"Each local row weighs {general(result.weight)} global rows"
        text += ", as set by the user." if not result.automatic else ": no search was made."
        return section("Weight of the local rows", paragraph(text))
    rows = [
        [
            "pooled" if c.share == 0 else percent(c.share),
            general(c.weight),
            number(float(np.sqrt(c.mse)), 4),
            number(1e4 * c.excess, 2),
            number(1e4 * c.standard_error, 2),
            "chosen" if c.chosen else "",
        ]
        for c in result.candidates
    ]
    header = ["share of the weight", "weight of a local row", f"RMSE ({UNIT})"]
    return section(
        "Weight of the local rows",
        paragraph(
            "Each candidate was tried by leaving out one spike station at a time. The first one "
            "whose mean squared error exceeds the smallest by no more than one standard error of "
            "that excess was chosen: the plain smallest follows chance."
        ),
        table(
            [*header, "excess of MSE", "its standard error", ""],
            rows,
            caption="RMSE with each station counting alike; excess over the smallest mean squared "
            "error in 10⁻⁴ (m³ m⁻³)².",
            marked=[i for i, c in enumerate(result.candidates) if c.chosen],
        ),
    )


def _interval_section(result: SpikeResult) -> Html:
    raw = result.model.forest.has_distribution
    parts: list[Any] = [paragraph(POINT_NOTE)]
    sides = (
        (
            "Spike stations, each left out in turn",
            "spike stations left out",
            result.loso_before,
            result.loso_after,
        ),
        (
            "Validate stations",
            "validate stations",
            result.validate_before,
            result.validate_after,
        ),
    )
    for title, what, earlier, held in sides:
        if held is None:
            continue
        share = station_coverage(held)
        note = ""
        if share is not None:
            note = f"Each station counting alike, 90 % intervals hold {percent(share)}."
        parts += [
            heading(title),
            paragraph(note) if note else None,
            coverage_part(held, f"{what}, spiked model", raw=raw, earlier=earlier),
            group_coverage_part(held, f"{what}, spiked model", raw=raw),
        ]
    parts += [heading("Margins"), margins_table(result.model.calibration)]
    return section("Prediction intervals", *parts)


def _global_rows(result: SpikeResult) -> TrainingRows:
    training, local = result.model.training, result.model.local
    if training is None or local is None:
        raise InputError("A spiking report needs the training rows of the spiked model.")
    return training.take(~local)


def _dates(result: SpikeResult) -> Html:
    dates = list(result.model.spike_dates)
    return folded(
        f"Dates of the probe readings ({len(dates)})",
        paragraph(", ".join(dates)),
        opened=0 < len(dates) <= 20,
    )


def _span(result: SpikeResult) -> str:
    dates = result.model.spike_dates
    if not dates:
        return "the local rows have none"
    if len(dates) == 1:
        return dates[0]
    return f"{plural(len(dates), 'day')} from {dates[0]} to {dates[-1]}"
