"""Maps of where a model applies: dissimilarity, inside or outside, and how many rows are alike."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ..covariates.table import CovariateTable
from ..errors import Cancelled, InputError
from ..models.record import Model
from ..progress import Progress
from ..rasters.cache import bounded_cache
from ..rasters.grids import Grid, Window
from ..rasters.styles import continuous_style
from ..rasters.writing import RasterWriter
from ..stations.similarity.dissimilarity import TIE, CovariateSpace, covariate_space, threshold
from .applicability_error import ErrorProfile, error_profile
from .blocks import StackReader, Tally, Turns, inside_mask, run_blocks
from .days import DayPlan, check_covariates, plan_day, warn_of_days
from .prediction import check_overlap
from .summaries import report_tallies

BANDS = ("dissimilarity", "inside", "local_point_density")
_SMALL = 0.01
# Green inside, pale at the threshold, orange to dark red outside; told apart by the colour-blind.
_AROUND_THRESHOLD = ("#01665e", "#80cdc1", "#f7f4e4", "#dfa04e", "#8c2d04")


@dataclass(frozen=True, eq=False)
class Applicability:
    """A model's training rows in the space of its covariates, and how far they reach.

    Attributes
    ----------
    space : CovariateSpace
        All covariates of the model, in its order.
    training_di : (n,) float64
        Of each training row to the nearest one outside its station fold.
    threshold : float
        Places with a DI up to it are inside.
    rule : str
        How the threshold was found, one of `dissimilarity.RULES`.
    profile : ErrorProfile or None
        The error to expect at a DI.
    """

    space: CovariateSpace
    training_di: np.ndarray
    threshold: float
    rule: str
    profile: ErrorProfile | None = None

    def is_inside(self, di: np.ndarray) -> np.ndarray:
        """Return 1 inside, 0 outside, NaN where the DI is missing."""
        inside = (di <= self.threshold * (1.0 + TIE)).astype(np.float64)
        return np.where(np.isnan(di), np.nan, inside)


@dataclass(frozen=True)
class ApplicabilitySummary:
    """What a map of applicability holds.

    `coverage` is the share of the `cells` asked for that have all covariates, `inside` the share
    of those that is inside; NaN where there is none. `threshold` is the DI that bounds it.
    """

    cells: int
    coverage: float
    inside: float
    threshold: float


def model_applicability(
    model: Model,
    fold: np.ndarray,
    weight: np.ndarray,
    *,
    rule: str = "fence",
    squares: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Applicability:
    """Return how far the training rows of a model reach.

    Global and local rows of a spiked model count the same: their weights in the forest do not
    move them.

    Parameters
    ----------
    model : Model
        With its training rows.
    fold : (n,) array
        Station fold of each training row.
    weight : (p,) array
        Importance of each covariate in held-out station folds; negative ones count as 0.
    rule : {'fence', 'whisker'}
        See `dissimilarity.threshold`.
    squares : (n,) array, optional
        Squared errors of the training rows, held out with their stations: for the error to expect.

    Raises
    ------
    InputError
        A model without training rows, or whose covariates never vary.
    """
    progress = progress or Progress()
    rows = model.require_rows("nothing can be compared with them")
    space = covariate_space(
        rows.X,
        model.names,
        weight=weight,
        fold=fold,
        seed=int(model.hyperparameters.get("seed", 42)),
    )
    _tell_space(space, np.asarray(weight), progress)
    di = space.training_dissimilarity(progress.check)
    limit = threshold(di, rule)
    progress.info(
        f"Threshold of the dissimilarity: {limit:.4g}, rule {rule}. Of the training rows, held out "
        f"by station fold, {np.mean(di <= limit * (1.0 + TIE)):.1%} are inside."
    )
    profile = None
    if squares is not None:
        profile = error_profile(di, squares, rows.station)
        _tell_profile(profile, progress)
    return Applicability(space, di, limit, rule, profile)


def map_applicability(
    model: Model,
    applicability: Applicability,
    table: CovariateTable,
    day: date,
    grid: Grid,
    *,
    mask: Sequence[dict[str, Any]] | None = None,
    output: str | Path,
    error_output: str | Path | None = None,
    block: int = 256,
    threads: int = 2,
    progress: Progress | None = None,
) -> ApplicabilitySummary:
    """Map where a model applies on a day.

    Memory does not grow with the map, and neither `block` nor `threads` changes a value.

    Parameters
    ----------
    model : Model
    applicability : Applicability
        Of that model.
    table : CovariateTable
        Covariates are matched by name; those that the model does not use are ignored.
    day : date
    grid : Grid
        The map's cells.
    mask : sequence of dict, optional
        GeoJSON polygons in the grid's coordinate reference system: cells whose centre lies inside
        are mapped.
    output : path
        GeoTIFF with the bands dissimilarity, inside (1, 0) and local_point_density (training rows
        with a dissimilarity below the threshold). Cells that lack a covariate are missing.
    error_output : path, optional
        GeoTIFF with the band expected_error, m³ m⁻³; missing where no training row was as
        dissimilar when it was held out. Needs a profile.

    Raises
    ------
    InputError
        For covariates missing on the day, and a mask that holds no cell.
    """
    progress = progress or Progress()
    check_covariates(table, model, None)
    plan = _plan(table, model, day)
    warn_of_days(model, None, [plan], progress)
    applicability.space.prepare()
    windows = grid.windows(block)
    turns = Turns(windows)
    with contextlib.ExitStack() as stack:
        writers = _open_files(applicability, grid, day, output, error_output, stack)
        stack.enter_context(bounded_cache())
        reader = stack.enter_context(StackReader(table, [plan], grid, progress))
        check_overlap(model, None, table, grid, reader.outside)
        position = [reader.names.index(name) for name in model.names]

        def work(window: Window, stop: threading.Event) -> tuple[Tally, int]:
            wanted = inside_mask(mask, grid, window)
            covariates = None
            if wanted.any():
                covariates = next(iter(reader.blocks(window)))[position]
            bands, tally = _measure(applicability, model.names, covariates, wanted, stop)
            for number, (writer, part) in enumerate(zip(writers, (bands[:3], bands[3:]))):
                with turns.take(number, window, stop):
                    writer.write(window, part)
            return tally, int(np.nansum(bands[1]))

        found = run_blocks(work, windows, threads, progress)
        total = Tally()
        for tally, _ in found:
            total.add(tally)
        if not total.cells:
            raise InputError(
                "No pixel's centre lies inside the mask.",
                "Check that the mask overlaps the map, or choose a finer grid.",
            )
    return _summarize(total, sum(inside for _, inside in found), applicability, progress)


def _plan(table: CovariateTable, model: Model, day: date) -> DayPlan:
    try:
        return plan_day(table, model, None, day)
    except InputError as error:  # its cure speaks of a fallback model
        raise InputError(
            error.cause,
            "Choose another date, add rasters, or raise tolerance_days in the covariate table.",
        ) from error


def _measure(
    applicability: Applicability,
    names: Sequence[str],
    covariates: np.ndarray | None,
    wanted: np.ndarray,
    stop: threading.Event,
) -> tuple[np.ndarray, Tally]:
    """Return the bands of a block, float32 (4, rows, columns), and what was counted."""

    def check() -> None:
        if stop.is_set():
            raise Cancelled

    bands = np.full((4, wanted.size), np.nan, dtype=np.float32)
    tally = Tally(cells=int(wanted.sum()))
    if covariates is not None:
        flat = covariates.reshape(len(names), -1)
        there = np.isfinite(flat)
        full = wanted.reshape(-1) & there.all(axis=0)
        rest = wanted.reshape(-1) & ~full
        first, counts = np.unique(np.argmin(there[:, rest], axis=0), return_counts=True)
        tally.first_missing = {names[i]: int(count) for i, count in zip(first, counts)}
        tally.predicted = int(full.sum())
        if full.any():
            di, density = applicability.space.measure(
                flat[:, full].T, applicability.threshold, check
            )
            bands[0, full], bands[2, full] = di, density
            bands[1, full] = applicability.is_inside(di)
            if applicability.profile is not None:
                bands[3, full] = applicability.profile.expect(di)
    return bands.reshape(4, *wanted.shape), tally


def _open_files(
    applicability: Applicability,
    grid: Grid,
    day: date,
    output: str | Path,
    error_output: str | Path | None,
    stack: contextlib.ExitStack,
) -> list[RasterWriter]:
    style = continuous_style(0.0, 2.0 * applicability.threshold, colours=_AROUND_THRESHOLD)
    writers = [RasterWriter(output, grid, BANDS, day=day, style=style, units=["", "", "rows"])]
    if error_output is not None:
        if applicability.profile is None:
            raise InputError("The errors of held-out stations are needed for the error to expect.")
        rmse = applicability.profile.rmse
        writers.append(
            RasterWriter(
                error_output,
                grid,
                ["expected_error"],
                day=day,
                style=continuous_style(float(rmse[0]), float(rmse[-1])),
                units=["m3 m-3"],
            )
        )
    return [stack.enter_context(writer) for writer in writers]


def _summarize(
    total: Tally, inside: int, applicability: Applicability, progress: Progress
) -> ApplicabilitySummary:
    report_tallies([total], progress)
    share = inside / total.predicted if total.predicted else float("nan")
    if total.predicted:
        text = f"{share:.1%} of the pixels with all covariates are inside the area of applicability"
        if share < 0.5:
            progress.warn(f"Only {text}: most of the map is unlike what the model has seen.")
        else:
            progress.info(f"{text}.")
    return ApplicabilitySummary(total.cells, total.coverage, share, applicability.threshold)


def _tell_space(space: CovariateSpace, weight: np.ndarray, progress: Progress) -> None:
    if space.dropped:
        progress.warn(
            f"The same in all training rows, so left out of the dissimilarity: "
            f"{', '.join(space.dropped)}. Places where they differ are not told."
        )
    if not (weight[space.columns] > 0).any():
        progress.warn(
            "No covariate matters to the error in held-out station folds: all weigh the same."
        )
    shares = space.weight / space.weight.sum()
    order = sorted(range(len(shares)), key=lambda i: (-shares[i], space.names[i]))
    listed = ", ".join(f"{space.names[i]} {shares[i]:.0%}" for i in order if shares[i] >= _SMALL)
    less = sum(1 for share in shares if 0 < share < _SMALL)
    none = [space.names[i] for i in order if not shares[i]]
    progress.info(
        f"Weights of the covariates, by permutation in held-out station folds: {listed}"
        + (f"; {less} more below {_SMALL:.0%}" if less else "")
        + (f"; without weight: {', '.join(none)}." if none else ".")
    )


def _tell_profile(profile: ErrorProfile, progress: Progress) -> None:
    low, high = float(profile.rmse[0]), float(profile.rmse[-1])
    if high <= low * 1.02:
        progress.info(
            f"The error of held-out stations does not rise with their dissimilarity: {high:.3f} "
            f"m³ m⁻³ up to a dissimilarity of {profile.largest:.3g}."
        )
        return
    progress.info(
        f"Error of held-out stations: {low:.3f} m³ m⁻³ at a dissimilarity of {profile.di[0]:.3g}, "
        f"{high:.3f} at {profile.di[-1]:.3g} and up to {profile.largest:.3g}, the largest seen."
    )
