"""The report of a learning curve: how many probes are enough, and by which design."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...models.learning_curve import NESTED, LearningCurve
from ...models.learning_curve_scores import Enough, count_enough, values_of
from ...models.spiking import MIN_SPIKES
from .intervals import POINT_NOTE
from .learning_curve_report_figures import error_figure, interval_figure
from .report import (
    MISSING,
    UNIT,
    Html,
    box,
    bullets,
    count,
    facts,
    gallery,
    general,
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
    write_page,
)
from .sections import model_facts, rows_facts, warnings_box

_SCORES = ("rmse", "abs_me", "ubrmse", "picp90", "width90", "interval_score90")


def learning_curve_report(
    curve: LearningCurve, path: Path, *, tolerance: float = 0.05, warnings: Sequence[str] = ()
) -> None:
    """Write the report of a learning curve as one HTML file.

    Parameters
    ----------
    curve : LearningCurve
    path : Path
        An earlier file stays until the new one is complete.
    tolerance : float
        Share by which the RMSE may exceed its best where stations are said to be enough.
    warnings : sequence of str
        What the run warned of.
    """
    settings = curve.settings
    found = [
        count_enough(curve.rows, design, settings.counts, tolerance) for design in settings.designs
    ]
    test = plural(len(curve.test_stations[0]), "test station")
    html = page(
        "Learning curve",
        f"Skill at unseen stations with {_listed(settings.counts)} spiking stations, "
        f"{plural(settings.draws, 'draw')} of {test}",
        _answer(curve, found, tolerance),
        warnings_box(warnings),
        _pictures(curve),
        _enough_section(curve, found, tolerance),
        _design_section(curve),
        _score_section(curve),
        _method_section(curve),
        section("Local data", facts(rows_facts(curve.local))),
        section("Model", facts(model_facts(curve.base))),
    )
    write_page(html, path)


def enough_text(enough: Enough, tolerance: float) -> str:
    """Return in a sentence how many stations of a design are enough."""
    share = percent(tolerance)
    if not enough.stays:
        return (
            f"the error is smallest with {_stations(enough.best)} and rises again with more: no "
            f"number is within {share} of the best from there on."
        )
    if enough.count == 0:
        return (
            f"no number of stations tried lowers the error of the global model by more than "
            f"{share}."
        )
    if enough.open_ended:
        return (
            f"not reached: the error still falls by more than {share} up to "
            f"{_stations(enough.largest)}, the largest number tried."
        )
    return (
        f"{_stations(enough.count)}: from there on the error stays within {share} of the best "
        f"(with {_stations(enough.best)})."
    )


def _answer(curve: LearningCurve, found: Sequence[Enough], tolerance: float) -> Html:
    reached = any(one.stays and not one.open_ended for one in found)
    lines = [join(strong(one.design), ": ", enough_text(one, tolerance)) for one in found]
    return box(
        paragraph(strong("How many probes are enough?"), kind="lead"),
        bullets(lines),
        paragraph(_local_text(curve)),
        paragraph(
            f"Descriptive: medians over {plural(curve.settings.draws, 'draw')} of RMSE relative to "
            "the best, paired by draw. The draws share stations, dates and the model, so they are "
            "not independent, and another field has another curve.",
            kind="small",
        ),
        kind="good" if reached else "open",
    )


def _local_text(curve: LearningCurve) -> Html:
    most, draws = curve.settings.counts[-1], curve.settings.draws
    parts, better = [], False
    for design in curve.settings.designs:
        spiked = values_of(curve.rows, "rmse", "spiked", design, most)
        local = values_of(curve.rows, "rmse", "local", design, most)
        wins = int((local < spiked).sum())
        better = better or 2 * wins > draws
        parts.append(f"{wins} of {draws} draws ({design})")
    text = (
        f"With {_stations(most)}, local readings alone have the smaller error than the spiked "
        f"model in {_listed(parts)}."
    )
    return strong(text) if better else join(text)


def _pictures(curve: LearningCurve) -> Html:
    settings = curve.settings
    shown = (curve.rows, settings.designs, settings.counts)
    note = "Lines: medians; bars and the grey band: from the smallest to the largest draw."
    return section(
        "Curves",
        gallery(
            picture(
                error_figure(*shown),
                f"Error at stations that took no part. {note}",
                "RMSE against the number of spiking stations",
            ),
            picture(
                interval_figure(*shown),
                "Readings inside the 90 % interval, and its mean width. " + note,
                "Coverage and width against the number of spiking stations",
            ),
        ),
        paragraph(
            POINT_NOTE
            + f" Below {MIN_SPIKES} spiking stations the intervals keep the margins of the model "
            "before spiking, and those of local readings alone have none."
        ),
    )


def _enough_section(curve: LearningCurve, found: Sequence[Enough], tolerance: float) -> Html:
    header = ["design", "enough", *[f"{k}" if k else "global" for k in (0, *curve.settings.counts)]]
    lines = []
    for one in found:
        enough = str(one.count) if one.stays and not one.open_ended else MISSING
        ratios = [number(one.ratios[k], 2) for k in (0, *curve.settings.counts)]
        lines.append([one.design, enough, *ratios])
    return section(
        "Error relative to the best number of stations",
        paragraph(
            f"Enough is the smallest number from which on the ratio stays at or below "
            f"{number(1 + tolerance, 2)}; {MISSING}: none below the largest number tried."
        ),
        table(
            header,
            lines,
            caption="Median over draws of RMSE / RMSE of the same draw with the best number",
        ),
    )


def _score_section(curve: LearningCurve) -> Html:
    header = [
        "design",
        "model",
        "spikes",
        "RMSE",
        "smallest",
        "largest",
        "mean |ME|",
        "ubRMSE",
        "inside 90 %",
        "width",
        "interval score",
    ]
    lines, starts = [_score_line(curve, "", "global", 0)], [0]
    for design in curve.settings.designs:
        for model in ("spiked", "local"):
            starts.append(len(lines))
            lines += [_score_line(curve, design, model, k) for k in curve.settings.counts]
    return section(
        "Scores",
        table(
            header,
            lines,
            caption=f"Medians over draws, {UNIT} but for the share inside; smallest and largest "
            "RMSE of a draw beside. |ME|: mean over test stations",
            text_columns=2,
            starts=starts,
        ),
    )


def _score_line(curve: LearningCurve, design: str, model: str, spikes: int) -> list[str]:
    values = {s: values_of(curve.rows, s, model, design, spikes) for s in _SCORES}
    middle = {name: float(np.median(found)) for name, found in values.items()}
    return [
        design or MISSING,
        {"local": "local only"}.get(model, model),
        count(spikes),
        number(middle["rmse"]),
        number(float(values["rmse"].min())),
        number(float(values["rmse"].max())),
        number(middle["abs_me"]),
        number(middle["ubrmse"]),
        percent(middle["picp90"]),
        number(middle["width90"]),
        number(middle["interval_score90"]),
    ]


def _design_section(curve: LearningCurve) -> Html:
    designs = curve.settings.designs
    if len(designs) < 2:
        return Html("")
    first = "random" if "random" in designs else designs[0]
    lines = []
    for design in designs:
        if design == first:
            continue
        cells = []
        for k in curve.settings.counts:
            own = values_of(curve.rows, "rmse", "spiked", design, k)
            other = values_of(curve.rows, "rmse", "spiked", first, k)
            cells.append(f"{number(float(np.median(own / other)), 2)} ({int((own < other).sum())})")
        lines.append([design, *cells])
    return section(
        f"Designs against {first}",
        table(
            ["design", *[str(k) for k in curve.settings.counts]],
            lines,
            caption=f"Median over draws of RMSE / RMSE of {first} in the same draw, by the number "
            f"of spiking stations; in brackets the draws, of {curve.settings.draws}, in which the "
            "design has the smaller RMSE",
        ),
    )


def _method_section(curve: LearningCurve) -> Html:
    settings = curve.settings
    nested = [name for name in settings.designs if name in NESTED]
    anew = [name for name in settings.designs if name not in NESTED]
    text = "In each draw the same test stations judge every design and number. "
    if nested:
        text += f"With {_listed(nested)} the stations of a smaller number are among those of a "
        text += "larger. "
    if anew:
        text += f"With {_listed(anew)} they are chosen anew for each number, as in the field."
    weight = "learned in every fit" if settings.weight == 0 else general(settings.weight)
    return section(
        "How this was measured",
        paragraph(text),
        facts(
            [
                ("Draws", count(settings.draws)),
                ("Test stations in a draw", count(len(curve.test_stations[0]))),
                ("Trees of a forest", count(curve.trees)),
                ("Weight of a local row", weight),
                ("Seed", str(settings.seed)),
            ]
        ),
    )


def _stations(k: int) -> str:
    return "the global model" if k == 0 else plural(k, "station")


def _listed(items: Sequence[object]) -> str:
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
