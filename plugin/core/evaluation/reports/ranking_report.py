"""The report of a ranking: which covariates, how much each matters, and which set will do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ranking_table import Line, Ranking
from ..selection import CovariateSet
from ..successive import RULED, improvements
from .figures import MOST_BARS
from .ranking_figures import rank_figure, score_curves
from .report import (
    MISSING,
    UNIT,
    Html,
    bullets,
    count,
    facts,
    gallery,
    join,
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
from .sections import rows_facts, warnings_box

_SCALE = 1e4
_RISE = "rise of the mean squared error, 10⁻⁴ (m³ m⁻³)²"
_TITLES = {
    "permutation": "Permutation in station folds",
    "out-of-bag": "Out-of-bag permutation, as published",
    "impurity": "Decrease of the sum of squares (IncNodePurity)",
    "group-drop": "Refitted without each group",
    "successive": "Successive sets",
    "forward": "Forward selection",
}
_MEANINGS = {
    "permutation": "How much the mean squared error at stations not seen rises when the values of "
    "one covariate are shuffled; mean and SD over folds and permutations. Covariates that tell "
    "much the same hide each other; about 0 or below: not needed beside the others.",
    "out-of-bag": "How much each tree's squared error rises on the rows it did not draw when one "
    "covariate is shuffled: mean over trees divided by its SD over trees, shown as share of the "
    "largest. Those rows are other days of stations the tree has seen, so a covariate that tells "
    "stations apart ranks too high: the set was not chosen by this.",
    "impurity": "Decrease of the sum of squares by the splits on a covariate, mean over trees, on "
    "the training rows. It favours covariates with many different values and those that tell "
    "stations apart: the set was not chosen by this.",
    "group-drop": "How much the mean squared error at stations not seen rises when the forest is "
    "grown without the group, mean and SD over folds. Other groups may stand in for it, so the "
    "losses do not add up.",
    "successive": "Covariates added one at a time by rank; each set is scored by forests that "
    "know no others, at stations not seen.",
    "forward": "From the best pair on, the covariate that lowers the mean RMSE over the station "
    "folds most is added.",
}


def ranking_report(result: Ranking, path: Path, *, warnings: Sequence[str] = ()) -> None:
    """Write the report of a ranking as one HTML file.

    Parameters
    ----------
    result : Ranking
    path : Path
        An earlier file stays until the new one is complete.
    warnings : sequence of str
        What the run warned of.
    """
    html = page(
        "Ranking of covariates",
        f"{_TITLES[result.settings.method]}; {plural(len(result.rows), 'row')} of "
        f"{plural(int(result.whole.scores['stations']), 'station')} in "
        f"{plural(result.folds, 'fold')} of whole stations",
        _summary(result),
        warnings_box(warnings),
        _curve_section(result),
        *(_line_section(result, lines) for lines in (result.lines, result.beside)),
        _set_section(result),
        section("Data", facts(rows_facts(result.rows))),
        section("Settings", facts(_settings(result))),
    )
    write_page(html, path)


def _summary(result: Ranking) -> Html:
    whole, chosen = result.whole, result.chosen
    total = len(whole.names)
    rests = (
        f"{plural(int(whole.scores['n']), 'row')}, "
        f"{plural(int(whole.scores['stations']), 'station')}"
    )
    text = (
        f"{len(chosen.names)} of {plural(total, 'covariate')} will do: "
        f"{', '.join(result.selected)}. At stations not seen, forests that know only these are off "
        f"by {number(chosen.rmse)} {UNIT} (RMSE), with all covariates by {number(whole.rmse)}."
    )
    if len(chosen.names) == total:
        text = (
            f"No smaller set of the {plural(total, 'covariate')} does as well: at stations not "
            f"seen, forests that know all are off by {number(whole.rmse)} {UNIT} (RMSE)."
        )
    return join(
        paragraph(text, kind="lead"),
        tiles(
            [
                ("Covariates selected", f"{len(chosen.names)} of {total}", _rule_name(result)),
                ("RMSE, selected", number(chosen.rmse, 4), UNIT),
                ("RMSE, all covariates", number(whole.rmse, 4), UNIT),
                ("Correlation r, selected", number(chosen.scores["r"], 2), rests),
                ("Forests grown", count(result.fits), f"in {plural(result.folds, 'fold')}"),
            ]
        ),
        paragraph(
            "The set was chosen by the same folds that score it, so its score is a little too "
            "good: judge the model on stations that took no part (role validate).",
            kind="note",
        ),
    )


def _rule_name(result: Ranking) -> str:
    return f"tolerance {percent(result.settings.tolerance, 1)}"


def _line_section(result: Ranking, lines: Sequence[Line]) -> Html:
    if not lines:
        return Html("")
    method = lines[0].method
    parts: list[Any] = [paragraph(_MEANINGS[method])]
    if method == "successive":
        order = _TITLES[result.settings.ranking]
        parts.append(paragraph(f"Order of the covariates: {order[:1].lower()}{order[1:]}."))
    if lines[0].importance is not None:
        shown = result.settings.ranking if method == "successive" else method
        parts.append(gallery(_bars(shown, lines)))
    parts.append(_lines_table(result, method, lines))
    if method == "group-drop":
        parts.append(facts([(line.group, ", ".join(line.names)) for line in lines]))
    return section(_TITLES[method], *parts)


def _bars(method: str, lines: Sequence[Line]) -> Html:
    names = [line.group if method == "group-drop" else line.names[0] for line in lines]
    chosen = [line.selected for line in lines]
    if method in ("permutation", "group-drop"):
        values = [_SCALE * (line.importance or 0.0) for line in lines]
        spread = [_SCALE * (line.sd or 0.0) for line in lines]
        figure = rank_figure(names, values, spread, chosen, _RISE)
        caption = "Mean ± SD; blue: selected."
    else:
        values = [100 * (line.relative or 0.0) for line in lines]
        figure = rank_figure(names, values, None, chosen, "share of the largest (%)")
        caption = "Share of the largest; blue: selected, by the station folds."
    if len(lines) > MOST_BARS:
        caption += f" The first {MOST_BARS} of {len(lines)}."
    return picture(figure, caption, f"Bars: {_TITLES[method]}")


def _lines_table(result: Ranking, method: str, lines: Sequence[Line]) -> Html:
    by_group = method == "group-drop"
    grouped = not by_group and any(line.group for line in lines)
    valued = lines[0].importance is not None
    spread = any(line.sd is not None for line in lines)
    scored = any(line.scored for line in lines)
    order = result.settings.ranking if method == "successive" else method
    header = ["rank", "group" if by_group else "covariate"]
    header += ["group"] if grouped else []
    texts = len(header)
    header += ["decrease" if order == "impurity" else "rise of MSE"] if valued else []
    header += ["SD"] if spread else []
    header += ["of the largest"] if valued else []
    header += list(_SET_HEADER) if scored else []
    body = [
        [
            count(line.rank),
            *_name_cells(line, by_group, grouped, result.static),
            *_value_cells(line, order, valued, spread),
            *(_set_cells(line.scored) if scored else []),
        ]
        for line in lines
    ]
    marked = [place for place, line in enumerate(lines) if line.selected]
    notes = [_units(order), "marked: selected"]
    if result.static and not by_group:
        notes.append("*: one value at each station")
    if scored:
        notes.append(_what_is_scored(method))
    return table(header, body, caption="; ".join(notes) + ".", text_columns=texts, marked=marked)


def _name_cells(line: Line, by_group: bool, grouped: bool, static: Sequence[str]) -> list[str]:
    if by_group:
        return [line.group]
    name = f"{line.names[0]} *" if line.names[0] in static else line.names[0]
    return [name, line.group or MISSING] if grouped else [name]


def _value_cells(line: Line, order: str, valued: bool, spread: bool) -> list[str]:
    unit = 1.0 if order == "impurity" else _SCALE
    cells = [line.importance] if valued else []
    cells += [line.sd] if spread else []
    shown = [number(None if value is None else unit * value, 3) for value in cells]
    return [*shown, percent(line.relative)] if valued else shown


_SET_HEADER = ("n covariates", "r", "ubRMSE", "ME", "slope", "RMSE")


def _set_cells(scored: CovariateSet | None) -> list[str]:
    if scored is None:
        return [MISSING] * len(_SET_HEADER)
    scores = scored.scores
    return [
        count(len(scored.names)),
        number(scores["r"], 3),
        number(scores["ubrmse"], 4),
        number(scores["me"], 4, signed=True),
        number(scores["slope"], 2),
        number(scores["rmse"], 4),
    ]


def _units(method: str) -> str:
    if method == "impurity":
        return "Decrease in (m³ m⁻³)²"
    if method == "forward":
        return f"ubRMSE, ME and RMSE in {UNIT}"
    return "Rise and its SD in 10⁻⁴ (m³ m⁻³)²"


def _what_is_scored(method: str) -> str:
    if method == "group-drop":
        return "scores of the covariates that are left"
    return "scores of this covariate and those above it"


def _curve_section(result: Ranking) -> Html:
    method = result.settings.method
    if method not in ("successive", "forward"):
        return Html("")
    sets = [line.scored for line in result.lines if line.scored]
    place = len(result.chosen.names) - 1
    refused = len(sets) - 1 if method == "forward" and not result.lines[-1].selected else None
    figure = score_curves(
        [len(one.names) for one in sets], [one.scores for one in sets], place, refused
    )
    caption = f"Scores at stations not seen; ring and dashed line: the set of {place + 1} chosen"
    caption += "; cross: tried and not taken." if refused is not None else "."
    rule = _successive_rule(result, sets) if method == "successive" else _forward_rule(result)
    return section(
        "Scores against the number of covariates",
        picture(figure, caption, "Curves of the scores against the number of covariates"),
        rule,
    )


def _successive_rule(result: Ranking, sets: Sequence[CovariateSet]) -> Html:
    tolerance = result.settings.tolerance
    words = {"r": "r", "ubrmse": "ubRMSE", "me": "bias", "slope": "slope"}
    lines = []
    for one in sets[: len(result.chosen.names) - 1]:
        better = [improvements(one, larger, tolerance) for larger in sets[len(one.names) :]]
        names = [words[s] for s in RULED if any(s in found for found in better)]
        lines.append(f"{len(one.names)}: a larger set is better in {', '.join(names)}")
    return join(
        paragraph(
            "Chosen is the smallest set after which no larger one is better: r by more than "
            f"{number(tolerance)}, ubRMSE by more than {percent(tolerance, 1)}, bias or slope by "
            f"so much that the RMSE would fall by more than {percent(tolerance, 1)}."
        ),
        bullets(lines),
    )


def _forward_rule(result: Ranking) -> Html:
    lines = []
    for step in result.steps[1:]:
        verdict = "taken" if step.taken else "not taken"
        gain = step.gain or 0.0
        lines.append(
            f"{step.covariate}: mean fold RMSE {number(step.scored.mean_fold_rmse, 4)}, "
            f"{'lower' if gain >= 0 else 'higher'} by {number(abs(gain), 4)} ± "
            f"{number(step.error, 4)} ({verdict})"
        )
    return join(
        paragraph(
            "A covariate is added while the mean RMSE over the folds falls by more than "
            f"{percent(result.settings.tolerance, 1)} of itself and by more than one standard "
            f"error of that fall over the folds ({UNIT}). The best pair is always taken."
        ),
        bullets(lines),
    )


def _set_section(result: Ranking) -> Html:
    body = [["all covariates", *_set_cells(result.whole)]]
    body.append(["selected", *_set_cells(result.chosen)])
    scores = result.whole.scores
    caption = (
        f"At stations not seen, {plural(int(scores['n']), 'row')} of "
        f"{plural(int(scores['stations']), 'station')}; ubRMSE, ME and RMSE in {UNIT}."
    )
    return section(
        "The set selected",
        paragraph("Names for the parameter COVARIATES: ", ";".join(result.selected)),
        table(["set", *_SET_HEADER], body, caption=caption, marked=[1]),
        paragraph(_set_rule(result), kind="small"),
    )


def _set_rule(result: Ranking) -> str:
    tolerance = percent(result.settings.tolerance, 1)
    if result.settings.method in ("successive", "forward"):
        return "The rule stands beside the curves."
    what = "dropping" if result.settings.method == "group-drop" else "shuffling"
    unit = "group" if result.settings.method == "group-drop" else "covariate"
    return (
        f"A {unit} is selected where {what} it raises the RMSE at stations not seen by more than "
        f"{tolerance}. Where forests with those selected alone are more than {tolerance} worse "
        f"than with all, the next {unit} by rank comes in, until they are not."
    )


def _settings(result: Ranking) -> list[tuple[str, Any]]:
    settings, forest = result.settings, result.settings.forest
    pairs: list[tuple[str, Any]] = [
        ("Method", settings.method),
        ("Tolerance", percent(settings.tolerance, 1)),
        ("Trees", count(forest.trees)),
        ("Smallest leaf", count(forest.min_leaf)),
        ("Share of covariates tried at a split", f"{forest.max_features:g}"),
        ("Station folds", count(result.folds)),
        ("Permutations in a fold", count(settings.repeats)),
        ("Seed", str(forest.seed)),
        ("One value at each station", ", ".join(result.static) or "none"),
    ]
    if settings.method == "successive":
        pairs.insert(1, ("Order of the sets", settings.ranking))
    if result.constant:
        pairs.append(("Left out, never changing", ", ".join(result.constant)))
    return pairs
