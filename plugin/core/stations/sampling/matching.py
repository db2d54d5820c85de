"""Covariates at stations: the training table from observations and a covariate table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...covariates.classes import table_class_names
from ...covariates.table import CovariateTable
from ...errors import InputError
from ...progress import Progress
from ...rasters.sampling import METHODS
from ..folds.distance_matching import station_places
from ..station_names import tell_decimal_names
from ..table import Table
from ..times import observation_days
from .matching_facts import (
    MATCHED,
    NO_DATE,
    NO_POINT,
    NO_RASTER,
    NO_VALUE,
    OUTSIDE,
    RAINED,
    MatchFacts,
    RainFacts,
)
from .matching_rain import RainRule, Refusals, refuse_rained
from .matching_reasons import no_match, row_reasons, tell_left_out
from .matching_rows import Chosen, choose_rows, nearest_days
from .matching_values import FileValues, Places, group_by_file, places_of, read_files

TABLE_METHOD = "table"
REASON_FIELD = "reason"

_NAMES_SHOWN = 10

# How a row's resampling is read at a point: cubic as bilinear, the average as its cell.
_AT_POINTS = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "cubic": "bilinear",
    "average": "nearest",
}


@dataclass(frozen=True)
class Match:
    """Observations with their covariates.

    Parameters
    ----------
    matched : Table
        Rows with at least one covariate; may be empty.
    unmatched : Table
        The others, with a field ``reason``.
    facts : MatchFacts
    problem : InputError or None
        Why no row is matched.
    """

    matched: Table
    unmatched: Table
    facts: MatchFacts
    problem: InputError | None


def sample_covariates(
    table: Table,
    covariates: CovariateTable,
    *,
    date_field: str = "date",
    method: str = TABLE_METHOD,
    progress: Progress | None = None,
) -> tuple[Table, Table]:
    """Return the tables of :func:`match_covariates`, which tells more.

    Raises
    ------
    InputError
        Also when no row is matched.
    """
    match = match_covariates(
        table, covariates, date_field=date_field, method=method, progress=progress
    )
    if match.problem is not None:
        raise match.problem
    return match.matched, match.unmatched


def match_covariates(
    table: Table,
    covariates: CovariateTable,
    *,
    date_field: str = "date",
    method: str = TABLE_METHOD,
    rain: RainRule | None = None,
    station: str = "station",
    threads: int = 1,
    progress: Progress | None = None,
) -> Match:
    """Add a field with its value for each covariate to observations.

    Each raster is opened once and only its blocks around the points are read. Memory holds the
    tables, not the rasters.

    Parameters
    ----------
    table : Table
        Observations with positions.
    covariates : CovariateTable
        All its covariates are sampled, each from the row that holds for the observation's date.
    date_field : str
        The date of a row; may be absent where every covariate is static. A time with an offset
        is carried to UTC.
    method : {"table", "nearest", "bilinear"}
        "table" takes each row's own resampling: cubic is read bilinear, an average as its cell. A
        point whose nearest cell is missing is missing, other missing neighbours lose their weight.
    rain : RainRule, optional
        Refuses matches with rain between image and observation.
    station : str
        Names the station, for what is told; may be absent.
    threads : int
        Files read at a time.
    progress : Progress, optional
        Hears how many rows and values are missing, per reason and covariate.

    Raises
    ------
    InputError
        For an unknown method or field, and ambiguous covariates.
    """
    progress = progress or Progress()
    if method not in (TABLE_METHOD, *METHODS):
        raise InputError(
            f"The method '{method}' is unknown.", f"Use one of table, {', '.join(METHODS)}."
        )
    covariates.check()
    if not len(table):
        raise InputError("The observation layer has no rows.", "Choose another layer.")
    names = covariates.names
    plain = _without_namesakes(table, names, date_field, progress)
    has_point = np.isfinite(table.x) & np.isfinite(table.y)
    days, has_date = _days(table, covariates, date_field, progress)
    usable = has_point & has_date
    if usable.any() and not table.crs:
        raise InputError(
            "The observation layer has no coordinate reference system.",
            "Assign one (Layer Properties, Source).",
        )
    chosen = choose_rows(covariates, days, usable)
    places = places_of(table, usable)
    refusals = None
    if rain is not None:
        part = progress.part(0.0, 0.15)
        refusals = refuse_rained(
            covariates, chosen, days, places, rain, threads=threads, progress=part
        )
    values, why = _sample(
        covariates, chosen, places, usable, method, threads, progress.part(0.15, 1.0)
    )
    why[~has_date] = NO_DATE
    why[~has_point] = NO_POINT
    if refusals is not None:
        refused = refusals.refused & (why == MATCHED)
        why[refused] = RAINED
        values[refused] = np.nan
    facts = _facts(table, covariates, chosen, why, days, station, rain, refusals)
    found = (why == MATCHED).any(axis=1)
    reason = row_reasons(why)
    tell_left_out(reason, facts.station, progress)
    matched = plain.take(found).with_columns(
        {name: values[found, position] for position, name in enumerate(names)}
    )
    matched = _name_classes(matched, covariates, progress)
    unmatched = table.take(~found).with_columns({REASON_FIELD: reason[~found]})
    _report_facts(facts, progress)
    if table.has(station):
        _report_names(facts.station, station, progress)
    problem = None
    if found.any():
        _report_missing(matched, covariates, days[found], progress)
    else:
        problem = no_match(reason, covariates, days, table)
    return Match(matched, unmatched, facts, problem)


def _name_classes(table: Table, covariates: CovariateTable, progress: Progress) -> Table:
    """Add a text field with the name of the class beside each covariate that is one."""
    columns: dict[str, np.ndarray] = {}
    taken = {name.lower() for name in table.names}
    for name, classes in table_class_names(covariates).items():
        field = f"{name}_class"
        if field.lower() in taken:
            progress.info(f"The field '{field}' is there already, so no class names are written.")
            continue
        codes = table.numeric(name)
        known = np.where(np.isfinite(codes), codes, -1).astype(np.int64)
        columns[field] = np.array([classes.get(int(code), "") for code in known], dtype=object)
    if columns:
        progress.info(f"Names of classes are in {', '.join(columns)}.")
    return table.with_columns(columns)


def _days(
    table: Table, covariates: CovariateTable, date_field: str, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Return the dates and where a row has one, or need not have one."""
    all_static = all(row.is_static for row in covariates.rows)
    if all_static and not table.has(date_field):
        return np.full(len(table), np.datetime64("NaT"), "datetime64[D]"), np.ones(
            len(table), dtype=bool
        )
    days = observation_days(table, date_field, progress)
    return days, ~np.isnat(days)


def _sample(
    covariates: CovariateTable,
    chosen: Chosen,
    places: Places,
    usable: np.ndarray,
    method: str,
    threads: int,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Return values (rows, covariates) and why they are missing."""
    shape = (len(usable), len(covariates.names))
    values = np.full(shape, np.nan)
    why = np.full(shape, NO_RASTER, dtype=np.uint8)
    columns = {name: position for position, name in enumerate(covariates.names)}
    requests = group_by_file(
        (
            covariates.path_of(one.row),
            one.row,
            _AT_POINTS[one.row.resampling] if method == TABLE_METHOD else method,
            one.members,
        )
        for one in chosen.serving
    )

    def take(found: FileValues) -> None:
        request = found.request
        parts = zip(request.rows, request.members, found.values, found.inside)
        for row, members, read, inside in parts:
            column = columns[row.covariate]
            values[members, column] = read
            there = np.where(np.isfinite(read), MATCHED, NO_VALUE)
            why[members, column] = np.where(inside, there, OUTSIDE)

    read_files(requests, places, take, threads=threads, progress=progress)
    progress.step(1.0)
    return values, why


def _facts(
    table: Table,
    covariates: CovariateTable,
    chosen: Chosen,
    why: np.ndarray,
    days: np.ndarray,
    station: str,
    rain: RainRule | None,
    refusals: Refusals | None,
) -> MatchFacts:
    names = covariates.names
    static = {row.covariate for row in covariates.rows if row.is_static}
    stations = np.full(len(table), "", dtype=object)
    same: tuple[tuple[str, ...], ...] = ()
    repeated = 0
    if table.has(station):
        stations = table.text(station)
        named = table.take(stations != "")
        same = tuple(station_places(named, station).same_place())
        full = (stations != "") & ~np.isnat(days)
        keys = set(zip(stations[full], days[full].astype(np.int64).tolist()))
        repeated = int(full.sum()) - len(keys)
    about_rain = None
    if rain is not None and refusals is not None:
        unknown = (refusals.unknown & (why == MATCHED)).sum(axis=0)
        about_rain = RainFacts(rain.covariate, rain.most, refusals.applies, unknown)
    return MatchFacts(
        names,
        tuple(name in static for name in names),
        why,
        chosen.shift,
        chosen.several,
        chosen.choices,
        stations,
        days,
        same,
        repeated,
        about_rain,
    )


def _without_namesakes(
    table: Table, names: tuple[str, ...], date_field: str, progress: Progress
) -> Table:
    """Drop fields that a covariate replaces, also where they differ in case alone."""
    lower = {name.lower(): name for name in names}
    if date_field.lower() in lower:
        raise InputError(
            f"The covariate '{lower[date_field.lower()]}' bears the name of the date field.",
            "Rename the band or the file.",
        )
    same = [field for field in table.names if field.lower() in lower]
    for field in same:
        progress.info(f"The field '{field}' is replaced by the covariate of that name.")
    return table.without(same)


def _report_facts(facts: MatchFacts, progress: Progress) -> None:
    if facts.same_place:
        listed = "; ".join(" and ".join(names) for names in facts.same_place[:_NAMES_SHOWN])
        progress.warn(f"Several stations stand at one place and get the same covariates: {listed}.")
    if facts.repeated:
        progress.warn(
            f"{facts.repeated} rows share station and day with another row: all are kept."
        )
    if facts.rain is None:
        return
    counts = facts.counts()[:, RAINED]
    listed = ", ".join(f"{name} {n}" for name, n in zip(facts.names, counts) if n)
    progress.info(
        f"Refused for more than {facts.rain.most:g} mm of {facts.rain.covariate} between image "
        f"and observation: {listed or 'none'} (of {', '.join(facts.rain.applies) or 'none'})."
    )
    unknown = int(facts.rain.unknown.sum())
    if unknown:
        progress.warn(
            f"{unknown} values are kept though {facts.rain.covariate} is not known on every day "
            "between."
        )


def _report_names(names: np.ndarray, field: str, progress: Progress) -> None:
    tell_decimal_names([name for name in names if name], f"the field '{field}'", progress)
    nameless = int((names == "").sum())
    if nameless:
        progress.warn(
            f"{nameless} of {len(names)} rows have no value in the field '{field}': they are kept, "
            "but splits and models leave them out."
        )


def _report_missing(
    matched: Table, covariates: CovariateTable, days: np.ndarray, progress: Progress
) -> None:
    names = covariates.names
    missing = {name: int(np.isnan(matched.columns[name]).sum()) for name in names}
    some = {name: count for name, count in missing.items() if count}
    if some:
        listed = ", ".join(f"{name} {count}" for name, count in some.items())
        progress.warn(f"Missing values among the {len(matched)} rows, per covariate: {listed}.")
    values = matched.columns
    same = [name for name in names if len(matched) > 1 and np.ptp(values[name]) == 0]
    if same:
        progress.info(f"The same in all rows: {', '.join(same)}.")
    empty = [name for name, count in missing.items() if count == len(matched)]
    if empty:
        known = (nearest_days(covariates, name, days) for name in empty)
        shown = [text for text in known if text][:_NAMES_SHOWN]
        progress.warn(
            f"Without any value: {', '.join(empty)}. "
            f"{'; '.join([*shown, 'check rasters and dates'])}."
        )
