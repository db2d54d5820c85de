"""The part of a validation report that sets the model beside a product that was there before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...models.heldout import HeldOut
from ..bootstrap import ScoreInterval, difference_interval
from ..by_station import held_rmse
from ..groups import groupings
from ..metrics import Row, score
from ..paired import FEWEST_STATIONS, PairedTest, paired_tests
from ..validation import ValidationResult, shared_rows
from .report import (
    UNIT,
    Html,
    box,
    bullets,
    count,
    heading,
    join,
    number,
    paragraph,
    plural,
    section,
    strong,
    table,
)
from .sections import score_cells, score_header

_STATION_ROWS = 10


@dataclass(frozen=True)
class Comparison:
    """Scores of model and baseline on the same rows.

    Attributes
    ----------
    field, name, label : str
        The group: its field, its name, and how a sentence calls it.
    model, baseline : dict
        As :func:`score` gives them.
    median_r : (float or None, float or None)
        Median over stations of r by station, of model and baseline.
    difference : ScoreInterval or None
        95 % bootstrap interval of RMSE model − baseline, drawing stations.
    """

    field: str
    name: str
    label: str
    model: Row
    baseline: Row
    median_r: tuple[float | None, float | None]
    difference: ScoreInterval | None

    @property
    def verdict(self) -> str:
        """Return ``model``, ``baseline`` or ``open``: who errs less beyond chance."""
        if self.difference is None or self.difference.low <= 0 <= self.difference.high:
            return "open"
        return "model" if self.difference.high < 0 else "baseline"


def compare_groups(ours: HeldOut, theirs: HeldOut) -> list[Comparison]:
    """Compare two predictions of the same rows, overall, then by network, season and class."""
    everything = np.ones(len(ours), dtype=bool)
    found = [_compare(ours, theirs, everything, ("", "all rows", "all rows"))]
    for field, groups in groupings(ours.rows):
        found += [_compare(ours, theirs, g.rows, (field, g.shown, g.label)) for g in groups]
    return found


def baseline_section(result: ValidationResult) -> Html:
    """Set the model beside the baseline on the rows where both have a value."""
    sides = shared_rows(result)
    if sides is None:
        return Html("")
    ours, theirs = sides
    name = result.baseline_name
    found = compare_groups(ours, theirs)
    model, baseline = found[0].model, found[0].baseline
    better = "errs less than" if model["rmse"] < baseline["rmse"] else "does not err less than"
    lines = [["model", *score_cells(model)], [name, *score_cells(baseline)]]
    test = paired_tests(held_rmse(theirs), held_rmse(ours))
    return section(
        f"Model and {name} side by side",
        box(
            paragraph(
                strong(f"The model {better} {name}"),
                f": RMSE {number(model['rmse'])} against {number(baseline['rmse'])} {UNIT} on the "
                f"same {plural(len(ours), 'row')}{_certainty(found[0])}.",
                kind="lead",
            ),
            _course(found[0], name),
            kind="good" if found[0].verdict == "model" else "open",
        ),
        table(["source", *score_header()], lines, caption="On the rows where both have a value."),
        _test_line(test),
        _groups_part(found, name),
    )


def _certainty(whole: Comparison) -> str:
    if whole.difference is None:
        return ""
    ends = f"{_signed(whole.difference.low)} to {_signed(whole.difference.high)}"
    chance = ", which may be chance" if whole.verdict == "open" else ""
    return f" (difference {ends}, 95 % bootstrap by station{chance})"


def _course(whole: Comparison, name: str) -> Html:
    """Say which of the two follows the course of time better."""
    parts = []
    ours, theirs = whole.median_r
    if ours is not None and theirs is not None:
        parts.append(
            f"r at single stations, median: model {number(ours, 2)}, {name} {number(theirs, 2)}"
        )
    ours, theirs = whole.model["anomaly_r"], whole.baseline["anomaly_r"]
    if ours is not None and theirs is not None:
        parts.append(
            f"r of anomalies (less the 30-day mean): model {number(ours, 2)}, {name} "
            f"{number(theirs, 2)}"
        )
    if not parts:
        return Html("")
    return paragraph("Course over time: " + "; ".join(parts) + ".")


def _groups_part(found: Sequence[Comparison], name: str) -> Html:
    fields = dict.fromkeys(one.field for one in found[1:])
    if not fields:
        return Html("")
    header = ["n", "stations", "RMSE model", f"RMSE {name}", "difference, 95 %"]
    header += ["ubRMSE model", f"ubRMSE {name}", "r of stations model", f"r of stations {name}"]
    header += ["anomaly r model", f"anomaly r {name}", "errs less"]
    parts = [heading(f"Where the model beats {name}, and where not"), bullets(_said(found, name))]
    words = {"model": "model", "baseline": name, "open": "–"}
    lines: list[list[str]] = []
    starts = []
    for field in fields:
        starts.append(len(lines))
        for one in (one for one in found[1:] if one.field == field):
            first = field if len(lines) == starts[-1] else ""
            lines.append([first, one.name, *_cells(one), words[one.verdict]])
    parts.append(
        table(
            ["", "group", *header],
            lines,
            caption=f"Rows where both have a value; RMSE and ubRMSE in {UNIT}. Difference: RMSE "
            "model − baseline, 95 % bootstrap interval by station. r of stations: median over "
            f"stations of {_STATION_ROWS} rows or more.",
            text_columns=2,
            starts=starts,
        )
    )
    return join(*parts)


def _said(found: Sequence[Comparison], name: str) -> Iterator[str]:
    sides = {
        "model": "The model errs less, beyond chance",
        "baseline": f"The baseline {name} errs less, beyond chance",
    }
    groups = found[1:]
    for verdict, text in sides.items():
        named = [one.label for one in groups if one.verdict == verdict]
        if named:
            yield f"{text}: {', '.join(named)}."
    unclear = sum(one.verdict == "open" and one.difference is not None for one in groups)
    few = sum(one.difference is None for one in groups)
    if unclear:
        yield f"Either may err less: {plural(unclear, 'group')}."
    if few:
        yield f"Fewer than {FEWEST_STATIONS} stations, not judged: {plural(few, 'group')}."


def _cells(one: Comparison) -> list[str]:
    ends = one.difference
    shown = "–" if ends is None else f"{_signed(ends.low)} … {_signed(ends.high)}"
    ours, theirs = one.model, one.baseline
    return [
        count(ours["n"]),
        count(ours["stations"]),
        number(ours["rmse"]),
        number(theirs["rmse"]),
        shown,
        number(ours["ubrmse"]),
        number(theirs["ubrmse"]),
        *[number(value, 2) for value in one.median_r],
        number(ours["anomaly_r"], 2),
        number(theirs["anomaly_r"], 2),
    ]


def _compare(
    ours: HeldOut, theirs: HeldOut, rows: np.ndarray, names: tuple[str, str, str]
) -> Comparison:
    ours, theirs = ours.take(rows), theirs.take(rows)
    y, station, date = ours.rows.y, ours.rows.station, ours.rows.date
    low, high = ours.bounds(0.9)
    return Comparison(
        *names,
        score(y, ours.mean, lower=low, upper=high, station=station, date=date),
        score(y, theirs.mean, station=station, date=date),
        (_median_r(ours), _median_r(theirs)),
        difference_interval((ours.mean - y, theirs.mean - y), station),
    )


def _median_r(held: HeldOut) -> float | None:
    station = held.rows.station.astype(str)
    found = []
    for name in np.unique(station):
        rows = station == name
        if rows.sum() >= _STATION_ROWS:
            one = score(held.rows.y[rows], held.mean[rows], date=held.rows.date[rows])["r"]
            found += [] if one is None else [one]
    return float(np.median(found)) if found else None


def _test_line(test: PairedTest) -> Html:
    if test.low is None or test.shift is None:
        return paragraph(
            f"With fewer than {FEWEST_STATIONS} stations the difference is not tested.",
            kind="small",
        )
    chance = "–" if test.p is None else "< 0.001" if test.p < 0.001 else f"= {number(test.p)}"
    return paragraph(
        f"RMSE by station, model − baseline, {count(test.n)} stations: Hodges–Lehmann shift "
        f"{_signed(test.shift)} {UNIT} (95 % interval {_signed(test.low)} to "
        f"{_signed(test.high)}), Wilcoxon's signed-rank test: p {chance}. Descriptive: "
        "stations near each other are not independent.",
        kind="small",
    )


def _signed(value: float | None) -> str:
    return number(value, signed=True)
