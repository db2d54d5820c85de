"""Maps of soil moisture with an interval around every pixel, for a day or for many."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ..covariates.table import CovariateTable
from ..errors import InputError
from ..models.record import Model, predict_model
from ..progress import Progress
from ..rasters.cache import bounded_cache
from ..rasters.grids import Grid, Window
from ..rasters.styles import MOISTURE_STYLE, paletted_style
from ..rasters.writing import RasterWriter
from .blocks import (
    FALLBACK_MODEL,
    FIRST_MISSING,
    FULL_MODEL,
    StackReader,
    Tally,
    Turns,
    inside_mask,
    predict_block,
    run_blocks,
)
from .days import DayPlan, check_covariates, plan_day, warn_of_days
from .summaries import MapSummary, report_tallies, summarize, write_summary

DEFAULT_QUANTILES = (0.05, 0.5, 0.95)
DAYS_AT_ONCE = 64  # open files of a series; static covariates are read once for so many days
_COLOURS = ("#8c510a", "#762a83", "#b2182b", "#d6604d", "#4393c3", "#2166ac", "#999999", "#4d4d4d")


@dataclass(frozen=True)
class _Job:
    """What all maps of a run share."""

    model: Model
    fallback: Model | None
    table: CovariateTable
    grid: Grid
    mask: Sequence[dict[str, Any]] | None
    quantiles: tuple[float, ...]
    block: int
    threads: int


@dataclass(frozen=True)
class _DayFiles:
    """Where a day's map goes."""

    values: RasterWriter
    reason: RasterWriter | None


def predict_map(
    model: Model,
    table: CovariateTable,
    day: date,
    grid: Grid,
    *,
    mask: Sequence[dict[str, Any]] | None = None,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    fallback: Model | None = None,
    output: str | Path,
    reason_output: str | Path | None = None,
    block: int = 256,
    threads: int = 2,
    progress: Progress | None = None,
) -> MapSummary:
    """Map one day.

    Memory does not grow with the map, and neither `block` nor `threads` changes a value.

    Parameters
    ----------
    model : Model
        Gives every pixel that has all its covariates.
    table : CovariateTable
        Covariates are matched by name; those that the model does not use are ignored.
    day : date
        The day.
    grid : Grid
        The map's cells.
    mask : sequence of dict, optional
        GeoJSON polygons in the grid's coordinate reference system: cells whose centre lies inside
        are mapped.
    quantiles : sequence of float
        Above 0 and below 1.
    fallback : Model, optional
        Gives the pixels where a covariate of `model` is missing and none of its own.
    output : path
        GeoTIFF with bands moisture_mean, moisture_sd, moisture_q05 …
    reason_output : path, optional
        Byte raster: 0 model, 1 fallback, 10 + i = covariate i of the model (from 0) is the first
        one missing, 255 outside the mask.
    block : int
        Edge of the blocks in cells.
    threads : int
        How many blocks are computed at a time.
    progress : Progress, optional

    Raises
    ------
    InputError
        For covariates missing on the day (the nearest date is named), a mask that holds no
        pixel, and quantiles that are none.
    """
    progress = progress or Progress()
    levels = _checked_quantiles(quantiles)
    job = _Job(model, fallback, table, grid, mask, levels, block, threads)
    _check_models(job, progress)
    plan = plan_day(table, model, fallback, day)
    warn_of_days(model, fallback, [plan], progress)
    with contextlib.ExitStack() as stack:
        files = _open_files(job, day, Path(output), reason_output, stack)
        tally = _map_days(job, [plan], [files], progress)[0]
    report_tallies([tally], progress)
    return summarize(day, tally)


def predict_series(
    model: Model,
    table: CovariateTable,
    days: Sequence[date],
    grid: Grid,
    *,
    folder: str | Path,
    summary_output: str | Path | None = None,
    mask: Sequence[dict[str, Any]] | None = None,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    fallback: Model | None = None,
    block: int = 256,
    threads: int = 2,
    progress: Progress | None = None,
) -> list[Path]:
    """Map many days; see :func:`predict_map`.

    Static covariates are read once for 64 days. Days without covariates are left out with a
    warning; in the summary their coverage is 0.

    Parameters
    ----------
    days : sequence of date
        In any order; a day named twice is mapped once.
    folder : path
        Gets a file ``moisture_YYYYMMDD.tif`` for each day.
    summary_output : path, optional
        CSV with date, coverage, mean and sd.

    Returns
    -------
    list of Path
        The files written, in the order of the days.

    Raises
    ------
    InputError
        Where no day at all can be mapped.
    """
    progress = progress or Progress()
    levels = _checked_quantiles(quantiles)
    job = _Job(model, fallback, table, grid, mask, levels, block, threads)
    _check_models(job, progress)
    wanted = sorted(set(days))
    plans = _plan_days(job, wanted, progress)
    warn_of_days(model, fallback, plans, progress)
    target = Path(folder).absolute()
    summaries: dict[date, MapSummary] = {}
    paths: list[Path] = []
    tallies: list[Tally] = []
    for start in range(0, len(plans), DAYS_AT_ONCE):
        some = plans[start : start + DAYS_AT_ONCE]
        part = progress.part(start / len(plans), (start + len(some)) / len(plans))
        names = [target / f"moisture_{plan.day:%Y%m%d}.tif" for plan in some]
        with contextlib.ExitStack() as stack:
            files = [
                _open_files(job, plan.day, path, None, stack) for plan, path in zip(some, names)
            ]
            counted = _map_days(job, some, files, part)
        paths += names
        tallies += counted
        summaries.update(
            (plan.day, summarize(plan.day, tally)) for plan, tally in zip(some, counted)
        )
    report_tallies(tallies, progress)
    if summary_output:
        write_summary(wanted, summaries, summary_output)
    return paths


def quantile_name(quantile: float) -> str:
    """Return the band name of a quantile: q and its decimals, at least two.

    Examples
    --------
    >>> quantile_name(0.05), quantile_name(0.5), quantile_name(0.025)
    ('moisture_q05', 'moisture_q50', 'moisture_q025')
    """
    return "moisture_q" + f"{quantile:.10f}".partition(".")[2].rstrip("0").ljust(2, "0")


def _checked_quantiles(quantiles: Sequence[float]) -> tuple[float, ...]:
    levels = tuple(sorted({float(level) for level in quantiles}))
    wrong = [level for level in levels if not 0 < level < 1]
    if wrong:
        raise InputError(
            f"A quantile of {wrong[0]:g} is not above 0 and below 1.",
            "Write for example 0.05;0.5;0.95.",
        )
    return levels


def _check_models(job: _Job, progress: Progress) -> None:
    """Find out what cannot work before a raster is touched."""
    check_covariates(job.table, job.model, job.fallback)
    for model in (job.model, job.fallback):
        if model is not None:
            means = np.array([[c.mean for c in model.covariates]], dtype=np.float32)
            predict_model(model, np.nan_to_num(means), job.quantiles)
    if job.fallback is not None and job.fallback.depth != job.model.depth:
        progress.warn(
            f"The model is for the depth {_depth(job.model)}, the fallback for "
            f"{_depth(job.fallback)}."
        )


def _depth(model: Model) -> str:
    return f"{model.depth[0]:g}–{model.depth[1]:g} m" if model.depth else "not stated"


def _plan_days(job: _Job, days: Sequence[date], progress: Progress) -> list[DayPlan]:
    if not days:
        raise InputError("No date is given.", "Give START and END, or DATES.")
    plans, failures = [], []
    for day in days:
        try:
            plans.append(plan_day(job.table, job.model, job.fallback, day))
        except InputError as error:
            failures.append(error)
    if not plans:
        raise failures[0]
    if failures:
        progress.warn(
            f"{len(failures)} of {len(days)} dates are left out. The first: {failures[0].cause}"
        )
    return plans


def _open_files(
    job: _Job,
    day: date,
    output: Path,
    reason_output: str | Path | None,
    stack: contextlib.ExitStack,
) -> _DayFiles:
    bands = ["moisture_mean", "moisture_sd", *(quantile_name(q) for q in job.quantiles)]
    values = stack.enter_context(
        RasterWriter(
            output,
            job.grid,
            bands,
            day=day,
            style=MOISTURE_STYLE,
            units=["m3 m-3"] * len(bands),
        )
    )
    if reason_output is None:
        return _DayFiles(values, None)
    reason = stack.enter_context(
        RasterWriter(
            reason_output,
            job.grid,
            ["reason"],
            dtype="uint8",
            day=day,
            style=reason_style(job.model, job.fallback),
        )
    )
    return _DayFiles(values, reason)


def reason_style(model: Model, fallback: Model | None = None) -> str:
    """Return the legend of the reason raster as a QML text."""
    classes = [(FULL_MODEL, "Full model", "#1b7837")]
    if fallback is not None:
        classes.append((FALLBACK_MODEL, "Fallback model", "#7fbf7b"))
    classes += [
        (FIRST_MISSING + index, f"{name} is missing", _COLOURS[index % len(_COLOURS)])
        for index, name in enumerate(model.names)
    ]
    return paletted_style(classes)


def _map_days(
    job: _Job, plans: Sequence[DayPlan], files: Sequence[_DayFiles], progress: Progress
) -> list[Tally]:
    """Predict and write every block of some days; blocks outside, days inside."""
    names = tuple(plans[0].rows)
    windows = job.grid.windows(job.block)
    turns = Turns(windows)
    with bounded_cache(), StackReader(job.table, plans, job.grid, progress) as reader:
        check_overlap(job.model, job.fallback, job.table, job.grid, reader.outside, len(plans))

        def work(window: Window, stop: threading.Event) -> list[Tally]:
            inside = inside_mask(job.mask, job.grid, window)
            if not inside.any():
                return _leave_empty(job, window, files, turns, stop)
            tallies = []
            for number, (stack, day_files) in enumerate(zip(reader.blocks(window), files)):
                found = predict_block(
                    stack, names, inside, job.model, job.fallback, job.quantiles, stop
                )
                with turns.take(number, window, stop):
                    day_files.values.write(window, found.bands)
                    if day_files.reason is not None:
                        day_files.reason.write(window, found.reason[None])
                tallies.append(found.tally)
            return tallies

        found = run_blocks(work, windows, job.threads, progress)
    totals = [Tally() for _ in plans]
    for tallies in found:
        for total, tally in zip(totals, tallies):
            total.add(tally)
    if not totals[0].cells:
        raise InputError(
            "No pixel's centre lies inside the mask.",
            "Check that the mask overlaps the map, or choose a finer grid.",
        )
    return totals


def _leave_empty(
    job: _Job, window: Window, files: Sequence[_DayFiles], turns: Turns, stop: threading.Event
) -> list[Tally]:
    shape = (window.height, window.width)
    bands = np.full((2 + len(job.quantiles), *shape), np.nan, np.float32)
    for number, day_files in enumerate(files):
        with turns.take(number, window, stop):
            day_files.values.write(window, bands)
            if day_files.reason is not None:
                day_files.reason.write(window, np.full((1, *shape), 255, np.uint8))
    return [Tally() for _ in files]


def check_overlap(
    model: Model,
    fallback: Model | None,
    table: CovariateTable,
    grid: Grid,
    outside: dict[str, int],
    days: int = 1,
) -> None:
    """Raise where a raster of the model beside the map leaves nothing to predict."""
    lost = [name for name in model.names if name in outside]
    if days > 1:  # another date's raster may touch the map
        lost = [name for name in lost if table.is_static(name)]
    if not lost or (fallback is not None and not set(fallback.names) & set(outside)):
        return
    raise InputError(
        f"The raster of the covariate '{lost[0]}' does not touch the map's grid "
        f"({grid.describe()}).",
        "Check the extent and the coordinate reference systems of grid and raster.",
    )
