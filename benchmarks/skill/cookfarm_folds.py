"""Error at unseen loggers of one farm, beside what random rows would promise.

Usage: bash scripts/env.sh python benchmarks/skill/cookfarm_folds.py FOLDER [--draws 20]
       [--trees 500] [--leaf 3]

FOLDER holds observations.csv.gz and stations.gpkg of the Cook Agronomy Farm. The rows, covariates
and settings are those of the cookfarm tutorial of the R package CAST 0.9.0 (Meyer et al. 2018,
doi:10.1016/j.envsoft.2017.12.001): 0.3 m, weeks 10 to 12 of 2012 (4 to 24 March), 3 folds of
loggers, 2 of 10 covariates tried at each split, and node size 5, which leaves nodes of up to 5 rows
whole, as do leaves of at least 3. It publishes, for one draw of folds each, a mean of the RMSE of
the folds of 0.07646 for loggers (500 trees) and of 0.02188 for random rows (50 trees).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from cookfarm_readings import day_of_year, read_records, read_stations, select_rows
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings, predict_folds
from soil_moisture_mapper.plugin.core.progress import Progress
from soil_moisture_mapper.plugin.core.stations.folds.splits import station_folds
from soil_moisture_mapper.plugin.core.stations.rows import TrainingRows

STATIC = ["DEM", "TWI", "BLD_030cm", "Northing", "Easting", "NDRE.M"]
DAILY = {
    "precip_cum": "precip_cum_mm",
    "cday": "cday",
    "tmax": "tmax_c",
    "precip": "precip_mm",
}
YEAR = "2012"
FIRST_DAY, LAST_DAY = 64, 84
FOLDS = 3
PUBLISHED = 0.07646


def read_rows(folder: Path) -> TrainingRows:
    """Return the rows of the three weeks."""
    records = read_records(folder)
    daily = {r["date"]: {name: float(r[field]) for name, field in DAILY.items()} for r in records}
    return select_rows(
        records,
        read_stations(folder),
        lambda day: day[:4] == YEAR and FIRST_DAY <= day_of_year(day) <= LAST_DAY,
        STATIC,
        daily,
    )


def fold_rmse(rows: TrainingRows, fold: np.ndarray, settings: ForestSettings) -> np.ndarray:
    """Return the RMSE of each fold, predicted by a forest grown on the others."""
    held, _ = predict_folds(rows, fold, settings, Progress())
    square = (held.mean - rows.y) ** 2
    return np.array([np.sqrt(square[fold == name].mean()) for name in np.unique(fold)])


def main() -> None:
    """Run all draws and print each, their mean and their spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--leaf", type=int, default=3)
    options = parser.parse_args()
    rows = read_rows(options.folder)
    print(f"{len(rows)} rows, {len(set(rows.station))} loggers, {options.trees} trees")
    found = []
    for draw in range(options.draws):
        settings = ForestSettings(
            method="rf", trees=options.trees, min_leaf=options.leaf, max_features=0.2, seed=draw
        )
        chance = np.random.default_rng(draw).permutation(len(rows)) % FOLDS
        folds = (station_folds(rows.station, FOLDS, draw), chance)
        loggers, random = (fold_rmse(rows, fold, settings) for fold in folds)
        found.append((loggers.mean(), random.mean()))
        each = ", ".join(f"{value:.4f}" for value in loggers)
        print(
            f"draw {draw:2d}: unseen loggers {loggers.mean():.4f} ({each}); "
            f"random rows {random.mean():.4f}",
            flush=True,
        )
    means, spread = np.mean(found, axis=0), np.std(found, axis=0)
    print(
        f"unseen loggers: mean RMSE {means[0]:.4f} (SD over draws {spread[0]:.4f}), "
        f"published {PUBLISHED:.4f}, difference {means[0] - PUBLISHED:+.4f}"
    )
    print(
        f"random rows (over-optimistic: each logger lies on both sides): mean RMSE "
        f"{means[1]:.4f} (SD {spread[1]:.4f})"
    )


if __name__ == "__main__":
    main()
