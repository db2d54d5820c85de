"""Area of applicability: speed with and without numba beside brute force, and memory of a map."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from scipy.spatial.distance import cdist

from ..plugin.core.covariates.rows import CovariateRow
from ..plugin.core.covariates.table import CovariateTable
from ..plugin.core.mapping.applicability import Applicability, map_applicability
from ..plugin.core.models.forest import grow_forest
from ..plugin.core.models.record import Covariate, Model
from ..plugin.core.stations.similarity.dissimilarity import (
    TIE,
    CovariateSpace,
    covariate_space,
    threshold,
)
from . import data, endtoend, engines, exactness, memory, timing
from .exactness import Check
from .found import Found
from .table import Target

ROWS = 50_000
STATIONS = 250
DYNAMIC = 8
FOLDS = 5
THREADS = 2
FEW = "few covariates matter (weights halve)"
EQUAL = "equal weights"
WEIGHTS = {
    FEW: lambda p: 0.5 ** np.arange(p),
    "weights fall as 1, 1/2, 1/3 …": lambda p: 1.0 / np.arange(1, p + 1),
    EQUAL: np.ones,
}
_DAY = date(2021, 4, 1)
_BRUTE = 512  # pixels whose distances to all rows are held at a time

Say = Callable[[str], None]
Search = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def measure(quick: bool, folder: Path, say: Say) -> Found:
    """Measure every weighting in memory, one thread, then maps from files with two threads."""
    parts = [_of_weights(name, quick, say) for name in WEIGHTS]
    parts.append(_of_maps(quick, folder, say))
    return Found.of_all(parts)


def training_space(name: str, rows: int = ROWS, stations: int = STATIONS) -> CovariateSpace:
    """Return the space of stations × days: most covariates are properties of the station."""
    rng = np.random.default_rng(1)
    days = rows // stations
    station = np.repeat(np.arange(stations), days)
    X = rng.standard_normal((stations, data.COVARIATES))[station]
    walk = rng.standard_normal((days, DYNAMIC)).cumsum(axis=0)
    walk = (walk - walk.mean(axis=0)) / walk.std(axis=0)
    X[:, :DYNAMIC] *= 0.5
    X[:, :DYNAMIC] += np.tile(walk, (stations, 1))
    X[:, :DYNAMIC] += 0.2 * rng.standard_normal((len(X), DYNAMIC))
    X = X.astype(np.float32)
    names = [f"c{number:02d}" for number in range(data.COVARIATES)]
    # the heaviest are dynamic and static in turn
    order = np.argsort(np.argsort(np.r_[0 : 2 * DYNAMIC : 2, 1 : 2 * DYNAMIC : 2, 16:25]))
    weight = WEIGHTS[name](data.COVARIATES)[order]
    return covariate_space(X, names, weight=weight, fold=station % FOLDS)


def search_brute(space: CovariateSpace, pixels: np.ndarray, limit: float) -> tuple:
    """Return DI and LPD by all distances, some pixels at a time."""
    di, count = np.empty(len(pixels)), np.empty(len(pixels))
    for start in range(0, len(pixels), _BRUTE):
        part = slice(start, start + _BRUTE)
        apart = cdist(space.locate(pixels[part]), space.points) / space.mean_distance
        below = apart < limit * (1.0 - TIE)
        di[part], count[part] = apart.min(axis=1), below.sum(axis=1)
    return di, count


def search_numpy(space: CovariateSpace, pixels: np.ndarray, limit: float) -> tuple:
    """Return DI and LPD without compiled code, as where numba is not installed."""
    with engines.forced(compiled=False):
        return space.measure(pixels, limit)


def check_exact(space: CovariateSpace, pixels: np.ndarray, limit: float, name: str) -> list[Check]:
    """Compare both engines with brute force."""
    di, count = search_brute(space, pixels, limit)
    checks = []
    for engine, found in (
        ("compiled", space.measure(pixels, limit)),
        ("NumPy", search_numpy(space, pixels, limit)),
    ):
        what = f"applicability, {name}, {engine}"
        checks.append(exactness.compare(f"{what}: dissimilarity", found[0], di))
        checks.append(exactness.compare(f"{what}: local point density", found[1], count))
    return checks


def _of_weights(name: str, quick: bool, say: Say) -> Found:
    say(f"applicability, {name}")
    space = training_space(name)
    space.prepare()
    training: list[np.ndarray] = []
    seconds = timing.seconds_of(lambda: training.append(space.training_dissimilarity()))
    limit = threshold(training[0])
    pixels = data.field_pixels(262_144)
    peers = {
        "compiled": (65_536, space.measure),
        "NumPy path": (8192, partial(search_numpy, space)),
        "brute force": (1024, partial(search_brute, space)),
    }
    rates = _take_turns(peers, pixels, limit, 2 if quick else 3)
    texts = ", ".join(f"{peer} {rate / 1e3:.3g}" for peer, rate in rates.items())
    some = pixels[np.random.default_rng(0).choice(len(pixels), 500, replace=False)]
    what = f"{name}, {ROWS} rows"
    return Found(
        tuple(
            Target(f"{what}: {peer} against brute force", goal, rates[peer] / rates["brute force"])
            for peer, goal in (("compiled", 10.0), ("NumPy path", 5.0))
        ),
        (
            (f"{what}: thousand pixels/s, one thread", texts),
            (f"{what}: dissimilarity of the training rows", f"{seconds:.3g} s"),
        ),
        tuple(check_exact(space, some, limit, name)),
    )


def _take_turns(
    peers: dict[str, tuple[int, Search]], pixels: np.ndarray, limit: float, rounds: int
) -> dict[str, float]:
    """Return the median pixels a second of each peer."""
    rates: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, found in rates.items():
            count, search = peers[name]
            some = pixels[:count]
            found.append(count / timing.seconds_of(partial(search, some, limit)))
    return {name: median(found) for name, found in rates.items()}


def _of_maps(quick: bool, folder: Path, say: Say) -> Found:
    sizes = ((1024, 1024), (2048, 2048)) if quick else ((2560, 1024), (5120, 2048))
    small, large, alike = (
        _map_once(folder, size, name, say)
        for size, name in zip((*sizes, sizes[0]), (FEW, FEW, EQUAL))
    )
    return Found(
        (
            Target(
                f"map of {_millions(sizes[1]):.3g} Mpixel: peak memory against a fourth of it",
                1.1,
                large["peak"] / small["peak"],
                most=True,
            ),
        ),
        (
            _describe_map(sizes[1], FEW, large),
            _describe_map(sizes[0], EQUAL, alike),
        ),
    )


def _map_once(folder: Path, size: tuple[int, int], name: str, say: Say) -> dict:
    width, height = size
    say(f"applicability from files to a file, {width} × {height} pixels, {name}")
    endtoend.write_covariates(folder, width, height)
    return memory.run_fresh("applicability", str(folder), str(width), str(height), name)


def _millions(size: tuple[int, int]) -> float:
    return size[0] * size[1] / 1e6


def _describe_map(size: tuple[int, int], name: str, found: dict) -> tuple[str, str]:
    what = f"map of {_millions(size):.3g} Mpixel, {data.COVARIATES} covariates, {ROWS} rows, {name}"
    speed = _millions(size) / found["seconds"]
    return what, (
        f"{found['seconds']:.3g} s, {speed:.3g} Mpixel/s, {found['peak']:.0f} MB, {THREADS} threads"
    )


def child_applicability(folder: str, width: str, height: str, name: str) -> dict:
    """Map rasters that are there; runs in the fresh process."""
    place = Path(folder)
    names = [f"c{number:02d}" for number in range(data.COVARIATES)]
    rows = [
        CovariateRow(each, "", str(place / f"{each}_{width}.tif"), 1, None, None, "bilinear", 0, "")
        for each in names
    ]
    space = training_space(name)
    di = space.training_dissimilarity()
    forest = grow_forest(np.eye(data.COVARIATES), np.arange(25) / 50, trees=1, min_leaf=1, seed=1)
    model = Model("qrf", "trained", forest, tuple(Covariate(n, "", "", 0, 1, 0) for n in names))
    seconds = timing.seconds_of(
        lambda: map_applicability(
            model,
            Applicability(space, di, threshold(di), "fence"),
            CovariateTable(tuple(rows), place),
            _DAY,
            endtoend.grid_of(int(width), int(height)),
            output=place / "applicability.tif",
            threads=THREADS,
        )
    )
    return {"peak": memory.peak_megabytes(), "seconds": seconds}
