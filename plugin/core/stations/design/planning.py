"""Where to put new probes in a field, given those that stand there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from ...covariates.table import CovariateTable
from ...errors import InputError
from ...progress import Progress
from ...rasters.grids import Grid, transform_points
from ..table import Table
from .designs import METHODS, BaseRows, base_dissimilarity, choose_sites, draw_random
from .designs_sites import Sites, Spacing, mean_nearest, standardise
from .planning_cells import CANDIDATES, FieldCells, centres, choose_rasters, read_cells
from .planning_distance import metric_positions
from .planning_worth import Worth, rank_probes

COMPARED_DRAWS = 20
"""Random choices that a plan is compared with."""

_SILENT = Progress()


@dataclass(frozen=True, eq=False)
class _Plan:
    """A field with the probes that stand there: rows are its cells, then the probes placed."""

    sites: Sites
    cells: FieldCells
    x: np.ndarray
    y: np.ndarray
    metres: np.ndarray
    standing: np.ndarray


def plan_stations(
    table: CovariateTable,
    grid: Grid,
    *,
    count: int,
    method: str = "coverage",
    day: date | None = None,
    mask: Sequence[dict[str, Any]] | None = None,
    access: Sequence[dict[str, Any]] | None = None,
    existing: Table | None = None,
    min_distance: float = 0.0,
    base: BaseRows | None = None,
    candidates: int = CANDIDATES,
    seed: int = 42,
    threads: int = 2,
    progress: Progress = _SILENT,
) -> Table:
    """Return points for `count` new probes, the most useful one first.

    Parameters
    ----------
    table : CovariateTable
        Static covariates, and with `day` those of that day; with `base` only those it uses.
    grid : Grid
        The field's cells; a probe stands in the centre of one.
    method : {'coverage', 'lhs', 'random'}
        See `choose_sites`; existing probes are respected by all.
    mask : sequence of dict, optional
        The field that the probes are to represent, as GeoJSON polygons in the system of the grid;
        without it the whole grid.
    access : sequence of dict, optional
        The same, where in the field a probe may stand.
    existing : Table, optional
        Points; several rows at one place are one probe. A probe outside the grid, or in a cell
        without all covariates, keeps its distance only, with a warning.
    min_distance : float
        Between any two probes, metres.
    base : BaseRows, optional
        Training rows of a model: cells unlike them are preferred.
    candidates : int
        In a field of more cells so many, drawn by seed, stand for it; as many more are drawn from
        those inside `access`.

    Returns
    -------
    Table
        Fields `station`, `rank` and those of `Worth`, with `base` `dissimilarity`, then the
        covariates.

    Raises
    ------
    InputError
        When there is no covariate or no complete cell, all covariates are constant, or so many
        probes do not fit (the message says how many do).
    """
    if method not in METHODS:
        raise InputError(f"METHOD '{method}' is not one of {', '.join(METHODS)}.")
    if count < 1:
        raise InputError(f"COUNT is {count}.", "Give 1 or more.")
    sources, classes = choose_rasters(table, base.names if base else None, day, progress)
    x, y = _existing_places(existing, grid, progress)
    cells = read_cells(
        sources,
        grid,
        classes=classes,
        mask=mask,
        access=access,
        places=(x, y),
        most=candidates,
        seed=seed,
        threads=threads,
        progress=progress.part(0.0, 0.5),
    )
    plan = _plan(cells, grid, (x, y), min_distance, base, seed, method, progress)
    chosen = choose_sites(plan.sites, count, method, seed, progress.part(0.5, 0.9))
    worth = rank_probes(plan.sites, chosen, plan.metres, plan.standing, progress.part(0.9, 1.0))
    _tell(plan, chosen, worth, seed, progress)
    return _points(plan, chosen[worth.order], worth, grid, progress)


def _existing_places(
    existing: Table | None, grid: Grid, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    if existing is None:
        return np.empty(0), np.empty(0)
    places = np.unique(np.column_stack([existing.x, existing.y]), axis=0)
    places = places[np.isfinite(places).all(axis=1)]
    x, y = transform_points(existing.crs, grid.crs, places[:, 0], places[:, 1])
    known = np.isfinite(x) & np.isfinite(y)
    if not known.all():
        progress.warn(
            f"{int((~known).sum())} of {len(known)} EXISTING probes have no place in the system of "
            "the grid and are left out."
        )
    if not known.any():
        progress.warn("EXISTING holds no point.")
    return x[known], y[known]


def _plan(
    cells: FieldCells,
    grid: Grid,
    places: tuple[np.ndarray, np.ndarray],
    min_distance: float,
    base: BaseRows | None,
    seed: int,
    method: str,
    progress: Progress,
) -> _Plan:
    placed = np.isfinite(cells.own).all(axis=1)
    _warn_of_unplaced(cells, placed, progress)
    X = np.concatenate([cells.X, cells.own[placed]])
    is_cell = np.arange(len(X)) < len(cells.X)
    in_field = np.zeros(len(X), dtype=bool)
    in_field[is_cell] = cells.in_field
    points = _covariate_points(cells, X, in_field, method, progress)
    x, y = centres(grid, cells.row, cells.col)
    metres = metric_positions(grid, x, y)
    standing = metric_positions(grid, *places)
    standing = standing[np.isfinite(standing).all(axis=1)]
    candidate = is_cell.copy()
    taken = {tuple(cell) for cell in cells.own_cell.tolist()}
    free = [cell not in taken for cell in zip(cells.row.tolist(), cells.col.tolist())]
    candidate[is_cell] = cells.accessible & free
    spacing = None
    if min_distance > 0:
        padding = np.full((len(X) - len(metres), metres.shape[1]), np.nan)
        spacing = Spacing(np.concatenate([metres, padding]), min_distance)
        around = Spacing(np.concatenate([metres, standing]), min_distance)
        own = np.arange(len(metres))
        candidate[own] &= around.far_enough(own, np.arange(len(metres), len(around.positions)))
    preference = None
    if base is not None:
        preference = np.zeros(len(X))
        preference[is_cell] = base_dissimilarity(base, cells.X, cells.names, seed, progress)
    codes = tuple(
        np.unique(X[:, column], return_inverse=True)[1].astype(np.int64)
        for column in np.flatnonzero(cells.of_classes)
    )
    sites = Sites(points, candidate, ~is_cell, in_field, preference, codes, spacing)
    return _Plan(sites, cells, x, y, metres, standing)


def _covariate_points(
    cells: FieldCells, X: np.ndarray, in_field: np.ndarray, method: str, progress: Progress
) -> np.ndarray:
    numbers = ~cells.of_classes
    points, varies = standardise(X[:, numbers], in_field)
    names = [name for name, number in zip(cells.names, numbers) if number]
    classes = [name for name in cells.names if name not in names]
    if classes:
        use = (
            "only the Latin hypercube uses them, by their shares" if method != "lhs" else "by share"
        )
        progress.info(f"Class codes have no distance, {use}: {', '.join(classes)}.")
    if not varies.any():
        raise InputError(
            f"No covariate differs within the field: {', '.join(cells.names)}.",
            "Add covariates that tell its places apart.",
        )
    if not varies.all():
        dropped = [name for name, differs in zip(names, varies) if not differs]
        progress.warn(f"The same in the whole field, left out: {', '.join(dropped)}.")
    return points


def _warn_of_unplaced(cells: FieldCells, placed: np.ndarray, progress: Progress) -> None:
    outside = (cells.own_cell < 0).any(axis=1)
    total = len(placed)
    if outside.any():
        progress.warn(
            f"{int(outside.sum())} of {total} EXISTING probes lie outside the grid: only their "
            "distance counts."
        )
    empty = ~outside & ~placed
    if empty.any():
        progress.warn(
            f"{int(empty.sum())} of {total} EXISTING probes lie in cells without all covariates: "
            "only their distance counts."
        )


def _points(plan: _Plan, chosen: np.ndarray, worth: Worth, grid: Grid, progress: Progress) -> Table:
    rank = np.arange(1, len(chosen) + 1)
    width = len(str(len(chosen)))
    columns: dict[str, Any] = {
        "station": [f"plan_{number:0{width}d}" for number in rank],
        "rank": rank,
        "share": worth.share,
        "mean_distance": worth.mean_distance,
        "gain": worth.gain,
        "nearest_m": worth.nearest_m,
    }
    if plan.sites.preference is not None:
        columns["dissimilarity"] = plan.sites.preference[chosen]
    own = {name.lower() for name in columns}
    for index, name in enumerate(plan.cells.names):
        if name.lower() in own:
            progress.info(f"The covariate '{name}' is not written: a field has its name.")
        else:
            columns[name] = plan.cells.X[chosen, index]
    return Table(columns, plan.x[chosen], plan.y[chosen], grid.crs)


def _tell(plan: _Plan, chosen: np.ndarray, worth: Worth, seed: int, progress: Progress) -> None:
    sites = plan.sites
    field = sites.points[sites.population]
    fixed = sites.points[sites.kept]
    rng = np.random.default_rng(seed)
    alike = Sites(
        sites.points, sites.candidate, sites.kept, sites.population, spacing=sites.spacing
    )
    drawn = []
    for _ in range(COMPARED_DRAWS):
        progress.check()
        some = sites.points[draw_random(alike, len(chosen), rng)]
        drawn.append(mean_nearest(field, np.vstack([fixed, some])))
    before = ""
    if len(fixed):
        before = f"{mean_nearest(field, fixed):.3f} with the {len(fixed)} existing probes alone, "
    progress.info(
        "Mean distance of the field's cells to the nearest probe, in standard deviations of the "
        f"covariates: {before}{worth.mean_distance[-1]:.3f} with the {len(chosen)} new ones; "
        f"{np.mean(drawn):.3f} where as many are drawn at random (mean of {COMPARED_DRAWS})."
    )
    if sites.preference is not None:
        progress.info(
            f"Mean dissimilarity to BASE_MODEL: {sites.preference[chosen].mean():.3f} at the new "
            f"probes, {sites.preference[sites.population].mean():.3f} in the field. Preferring "
            "what the model lacks may leave other cells farther from a probe than a random choice "
            "does."
        )
