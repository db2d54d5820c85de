"""Scores of predictions against measurements, pooled and by station, and their table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..rasters.writing import atomic_path
from .anomaly import anomaly_correlation

Row = dict[str, Any]

SCORES = ("r2", "r", "me", "rmse", "ubrmse", "mae", "slope", "picp90", "width90")
FURTHER_SCORES = ("abs_me", "interval_score90", "anomaly_r", "anomaly_n")
COLUMNS = ("scope", "group", "n", "stations", *SCORES, "source", *FURTHER_SCORES)

SEASONS = ("DJF", "MAM", "JJA", "SON")
SCOPES = (
    "overall",
    "network",
    "class",
    "season",
    "station",
    "station_mean",
    "station_median",
    "spike_loso",
)

#: A station counts in `station_mean` and `station_median` from this many rows and dates on.
STATION_ROWS = 10
STATION_DATES = 5

_ALPHA = 0.1


def score(
    observed: np.ndarray,
    predicted: np.ndarray,
    *,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    station: np.ndarray | None = None,
    date: np.ndarray | None = None,
) -> Row:
    """Score the predictions of one group of rows.

    Parameters
    ----------
    observed, predicted : ndarray, shape (n,)
        Soil moisture in m³ m⁻³. Rows where either is not finite are left out.
    lower, upper : ndarray, shape (n,), optional
        Calibrated quantiles 0.05 and 0.95.
    station : ndarray of object, shape (n,), optional
        Station of each row; without it all rows are one station.
    date : ndarray of datetime64[D], shape (n,), optional
        Days of the rows. Where all are of one station and one day, `r` and `slope` are left empty:
        they would describe differences between points, not the course of moisture.

    Returns
    -------
    dict
        `n`, `stations` and the scores named in `SCORES` and `FURTHER_SCORES`; None where a score
        cannot be computed.

    Notes
    -----
    `me` is the mean of predicted − measured, `ubrmse` = √(rmse² − me²), `r2` = 1 − SSE/SST about
    the group's mean, `slope` that of measured on predicted, `picp90` the share of measurements
    inside the 90 % prediction interval and `width90` its mean width. `abs_me` is the mean over the
    stations of the absolute ME. `interval_score90` is the mean of width + (2/α) · distance outside
    (Gneiting & Raftery 2007, doi:10.1198/016214506000001437). `anomaly_r` is Pearson's r of the
    anomalies (less the 30-day moving mean of their station), of which there are `anomaly_n`.
    """
    observed = np.asarray(observed, dtype=float)
    predicted = np.asarray(predicted, dtype=float)
    used = np.isfinite(observed) & np.isfinite(predicted)
    o, p = observed[used], predicted[used]
    units = np.zeros(o.size, dtype=int) if station is None else np.asarray(station)[used]
    days = None if date is None else np.asarray(date)[used]
    result: Row = {"n": int(o.size), "stations": len(set(units.tolist()))}
    result.update(dict.fromkeys((*SCORES, *FURTHER_SCORES)))
    if not o.size:
        return result
    result.update(_error_scores(o, p))
    result["abs_me"] = float(np.mean(np.abs(_group_means(p - o, units))))
    if result["stations"] > 1 or not _visited_once(days):
        result.update(_association(o, p))
    if days is not None and station is not None:
        result["anomaly_r"], result["anomaly_n"] = anomaly_correlation(o, p, days, units)
    if lower is not None and upper is not None:
        low, high = np.asarray(lower, float)[used], np.asarray(upper, float)[used]
        result.update(_interval_scores(o, low, high))
    return result


def score_table(
    observed: np.ndarray,
    predicted: np.ndarray,
    *,
    station: np.ndarray,
    source: str,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    network: np.ndarray | None = None,
    date: np.ndarray | None = None,
    classes: Mapping[str, np.ndarray] | None = None,
) -> list[Row]:
    """Score rows overall and by network, class, season and station.

    Parameters
    ----------
    observed, predicted, lower, upper, station, date
        As in :func:`score`.
    source : str
        ``model``, ``baseline``, ``before`` or ``after``.
    network : ndarray of object, shape (n,), optional
        Network of each row, '' where it has none.
    classes : mapping of field name to ndarray of object, shape (n,), optional
        Class fields; '' is no class.

    Returns
    -------
    list of dict
        One dict for each line of the metrics table, keys `COLUMNS`, in the order of `SCOPES`.
    """
    finite = np.isfinite(np.asarray(observed, float)) & np.isfinite(np.asarray(predicted, float))
    columns: dict[str, np.ndarray | None] = {
        "observed": observed,
        "predicted": predicted,
        "lower": lower,
        "upper": upper,
        "station": station,
        "date": date,
    }

    def line(scope: str, group: str, rows: np.ndarray) -> Row:
        return _line(scope, group, source, columns, rows)

    found = [line("overall", "", finite)]
    if network is not None:
        found += [line("network", name, part) for name, part in _groups(network, finite)]
    classes = classes or {}
    for field in class_fields(classes) if network is not None else classes:
        parts = _groups(classes[field], finite)
        found += [line("class", f"{field}={name}", part) for name, part in parts]
    if date is not None:
        named = season_of(date)
        found += [
            line("season", name, (named == name) & finite)
            for name in SEASONS
            if bool(np.any((named == name) & finite))
        ]
    by_station = [line("station", name, part) for name, part in _groups(station, finite)]
    long = _long_stations(station, date, finite)
    found += by_station
    chosen = [row for row in by_station if row["group"] in long]
    found.append(_summary("station_mean", source, chosen, np.mean))
    found.append(_summary("station_median", source, chosen, np.median))
    return found


def scope_table(
    scope: str,
    observed: np.ndarray,
    predicted: np.ndarray,
    *,
    station: np.ndarray,
    source: str,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    date: np.ndarray | None = None,
    classes: Mapping[str, np.ndarray] | None = None,
) -> list[Row]:
    """Score rows under one scope: pooled (`group` empty), then for each class.

    Used for ``spike_loso``; the parameters are those of :func:`score_table`.
    """
    finite = np.isfinite(np.asarray(observed, float)) & np.isfinite(np.asarray(predicted, float))
    columns: dict[str, np.ndarray | None] = {
        "observed": observed,
        "predicted": predicted,
        "lower": lower,
        "upper": upper,
        "station": station,
        "date": date,
    }
    rows = [_line(scope, "", source, columns, finite)]
    for field, values in (classes or {}).items():
        rows += [
            _line(scope, f"{field}={name}", source, columns, part)
            for name, part in _groups(values, finite)
        ]
    return rows


def class_fields(names: Iterable[str]) -> list[str]:
    """Return the class fields that are not the network, by which rows are grouped anyway."""
    return [name for name in names if name.lower() != "network"]


def season_of(date: np.ndarray) -> np.ndarray:
    """Name the meteorological season of each day: DJF, MAM, JJA or SON, '' for a missing day."""
    days = np.asarray(date, dtype="datetime64[D]")
    missing = np.isnat(days)
    months = np.where(missing, np.datetime64("2000-01-01"), days).astype("datetime64[M]")
    month = months.astype(int) % 12 + 1
    named = np.asarray(SEASONS, dtype=object)[(month % 12) // 3]
    named[missing] = ""
    return named


def write_metrics(rows: Iterable[Row], path: Path) -> None:
    """Write scores as a CSV table (UTF-8); a score that could not be computed is empty.

    Raises
    ------
    InputError
        Where the folder does not exist or cannot be written to.
    """
    listed = list(rows)
    with (
        atomic_path(Path(path)) as temporary,
        Path(temporary).open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([_text(row.get(column)) for column in COLUMNS] for row in listed)


def interval_score(observed: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Return the mean interval score of 90 % intervals: width + (2/α) · distance outside.

    Source: Gneiting & Raftery 2007, doi:10.1198/016214506000001437.
    """
    return float(np.mean(interval_scores(observed, low, high)))


def interval_scores(observed: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the interval score of each row, (n,); NaN where a bound is missing."""
    outside = np.maximum(0.0, np.maximum(low - observed, observed - high))
    return np.asarray(high - low + 2.0 / _ALPHA * outside)


def find_row(rows: Sequence[Row], scope: str, source: str, group: str = "") -> Row | None:
    """Return the line of `scope`, `group` and `source`, or None."""
    for row in rows:
        if row["scope"] == scope and row["source"] == source and row["group"] == group:
            return row
    return None


def natural_order(values: Iterable[Any]) -> list[Any]:
    """Sort names: as numbers where all of them are numbers, else as text."""
    names = list(values)
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names, key=str)


def _line(
    scope: str,
    group: str,
    source: str,
    columns: Mapping[str, np.ndarray | None],
    rows: np.ndarray,
) -> Row:
    part = {name: None if v is None else np.asarray(v)[rows] for name, v in columns.items()}
    observed, predicted = part.pop("observed"), part.pop("predicted")
    if observed is None or predicted is None:
        raise InputError("Scores need measured and predicted values.")
    return {"scope": scope, "group": group, "source": source, **score(observed, predicted, **part)}


def _error_scores(o: np.ndarray, p: np.ndarray) -> Row:
    error = p - o
    me = float(error.mean())
    total = float(np.sum((o - o.mean()) ** 2))
    varies = o.size > 1 and float(np.ptp(o)) > 0.0
    return {
        "me": me,
        "rmse": float(np.sqrt(np.mean(error**2))),
        "ubrmse": float(np.sqrt(np.mean((error - me) ** 2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1.0 - float(np.sum(error**2)) / total if varies else None,
    }


def _association(o: np.ndarray, p: np.ndarray) -> Row:
    if o.size < 3 or float(np.ptp(p)) == 0.0:
        return {}
    a, b = o - o.mean(), p - p.mean()
    both = float(np.sum(a * b))
    result: Row = {"slope": both / float(np.sum(b * b))}
    if float(np.ptp(o)) > 0.0:
        r = both / float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
        result["r"] = min(1.0, max(-1.0, r))
    return result


def _interval_scores(o: np.ndarray, low: np.ndarray, high: np.ndarray) -> Row:
    there = np.isfinite(low) & np.isfinite(high)
    if not np.any(there):
        return {}
    o, low, high = o[there], low[there], high[there]
    return {
        "picp90": float(np.mean((low <= o) & (o <= high))),
        "width90": float(np.mean(high - low)),
        "interval_score90": interval_score(o, low, high),
    }


def _visited_once(days: np.ndarray | None) -> bool:
    if days is None or not days.size or bool(np.any(np.isnat(days))):
        return False
    return bool(np.all(days == days[0]))


def _group_means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    _, code = np.unique(group.astype(str), return_inverse=True)
    return np.bincount(code, weights=values) / np.bincount(code)


def _groups(values: np.ndarray, used: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return name and row numbers of each group among the rows used, in natural order."""
    rows: dict[str, list[int]] = {}
    texts = np.asarray(values, dtype=object)
    for row in np.flatnonzero(used).tolist():
        if texts[row] not in ("", None):
            rows.setdefault(str(texts[row]), []).append(row)
    return [(name, np.array(rows[name])) for name in natural_order(rows)]


def _long_stations(station: np.ndarray, date: np.ndarray | None, used: np.ndarray) -> set[str]:
    if date is None:
        return set()
    days = np.asarray(date, dtype="datetime64[D]")
    known = used & ~np.isnat(days)
    return {
        name
        for name, rows in _groups(station, known)
        if rows.size >= STATION_ROWS and np.unique(days[rows]).size >= STATION_DATES
    }


def _summary(scope: str, source: str, stations: Sequence[Row], over: Any) -> Row:
    result: Row = {
        "scope": scope,
        "group": "",
        "source": source,
        "n": sum(row["n"] for row in stations),
        "stations": len(stations),
    }
    for name in (*SCORES, *FURTHER_SCORES):
        values = [row[name] for row in stations if row[name] is not None]
        result[name] = float(over(values)) if values else None
    result["anomaly_n"] = sum(row["anomaly_n"] or 0 for row in stations)
    return result


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}" if np.isfinite(value) else ""
    return str(value)
