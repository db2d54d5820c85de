"""Skill of spiking on five areas in Poland: train on four, spike with fields of the fifth.

Usage: bash scripts/env.sh python benchmarks/skill/poland.py TABLE.csv [--spikes 1 2 4 8]
       [--weights auto pooled balanced] [--designs random coverage lhs] [--draws 15]

TABLE.csv holds the columns study_area, field, date, vwc and the four covariates below; a field is a
station. Each draw permutes the fields of the area (``numpy.random.default_rng(draw)``): the first
ones are the test set; of the others the next are the spikes (random), or a design chooses them.
"""

from __future__ import annotations

import argparse
import csv
import sys
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import clone_package

clone_package.register()

from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings, HeldOut
from soil_moisture_mapper.plugin.core.models.record import Model
from soil_moisture_mapper.plugin.core.models.spiking import (
    SpikeResult,
    SpikeSettings,
    spike_model,
)
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.stations.design.designs import choose_sites
from soil_moisture_mapper.plugin.core.stations.design.designs_sites import Sites, standardise
from soil_moisture_mapper.plugin.core.stations.rows import TrainingRows, training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

COVARIATES = ["s1_g0_vh_db", "s1_g0_vv_db", "local_inc_deg", "clay_pct"]
AREAS = {"KEDZIERZYN": 13, "OBORY": 9, "BRWINOW": 12}
COLUMNS = ("global", "local", "spiked")
WEIGHTS = ("auto", "pooled", "balanced")
DESIGNS = ("random", "coverage", "lhs")


def read_rows(path: Path) -> TrainingRows:
    """Return the complete rows; a field is a station, an area a network."""
    with path.open(encoding="utf-8") as file:
        records = list(csv.DictReader(file))

    def numbers(name: str) -> np.ndarray:
        return np.array([float(r[name]) if r[name] else np.nan for r in records])

    def texts(name: str) -> np.ndarray:
        return np.array([r[name] for r in records], dtype=object)

    columns = {
        "station": texts("field"),
        "network": texts("study_area"),
        "date": texts("date").astype("datetime64[D]"),
        "moisture": numbers("vwc"),
        **{name: numbers(name) for name in COVARIATES},
    }
    table = Table(columns, numbers("lon"), numbers("lat"), "EPSG:4326")
    return training_rows(table, covariates=COVARIATES)


def score(held: HeldOut) -> dict[str, float]:
    """Return RMSE, ME and mean |ME| by field."""
    error = held.mean - held.rows.y
    fields = [error[held.rows.station == name].mean() for name in set(held.rows.station)]
    return {
        "rmse": float(np.sqrt((error**2).mean())),
        "me": float(error.mean()),
        "field_me": float(np.abs(fields).mean()),
    }


def interval(held: HeldOut, calibrated: bool) -> tuple[float, float, float, float]:
    """Return coverage, mean width and score of the 90 % interval, share of fields below a half."""
    lower, upper = held.bounds(0.9, calibrated=calibrated)
    y = held.rows.y
    outside = np.maximum(lower - y, 0) + np.maximum(y - upper, 0)
    width = upper - lower
    inside = (outside == 0).astype(float)
    fields = [inside[held.rows.station == name].mean() for name in set(held.rows.station)]
    return (
        float(inside.mean()),
        float(width.mean()),
        float((width + 20 * outside).mean()),
        float((np.array(fields) < 0.5).mean()),
    )


def choose(
    local: TrainingRows, order: np.ndarray, spikes: int, design: str, seed: int
) -> list[str]:
    """Return the spike fields out of `order`, the fields that are not tested."""
    if design == "random":
        return [str(name) for name in order[:spikes]]
    names = sorted(str(name) for name in order)
    means = np.array([local.X[local.station == name].mean(axis=0) for name in names], np.float64)
    everyone = np.ones(len(names), dtype=bool)
    points, _ = standardise(means, everyone)
    sites = Sites(points, candidate=everyone, kept=~everyone, population=everyone)
    return [names[i] for i in choose_sites(sites, spikes, design, seed)]


def weight_of(kind: str, base: Model, spikes: TrainingRows) -> float:
    """Return the weight of a local row: 0 for automatic."""
    rows = len(base.training.y) if base.training is not None else 0
    return {"auto": 0.0, "pooled": 1.0}.get(kind, max(1.0, rows / len(spikes)))


def summarise(label: str, results: list[SpikeResult]) -> None:
    """Print the means over draws."""
    kinds = ("validate_before", "validate_local", "validate_after")
    for name, kind in zip(COLUMNS, kinds):
        scores = [score(getattr(result, kind)) for result in results]
        rmse = np.array([one["rmse"] for one in scores])
        me = np.mean([one["me"] for one in scores])
        field_me = np.mean([one["field_me"] for one in scores])
        print(
            f"{label} {name:7s} RMSE {rmse.mean():.4f} (SD {rmse.std():.3f})  ME {me:+.3f}  "
            f"|ME| by field {field_me:.3f}"
        )
    for calibrated in (False, True):
        values = np.array([interval(r.validate_after, calibrated) for r in results])
        kind = "calibrated" if calibrated else "raw"
        print(
            f"{label} 90 % interval {kind:10s} coverage {values[:, 0].mean():.3f} "
            f"(SD {values[:, 0].std():.3f})  width {values[:, 1].mean():.3f}  "
            f"score {values[:, 2].mean():.3f}  fields covered below half {values[:, 3].mean():.3f}"
        )
    better = sum(
        score(r.validate_after)["rmse"] < score(r.validate_before)["rmse"] for r in results
    )
    verdicts = [r.verdict for r in results if r.verdict is not None]
    print(
        f"{label} better than global in {better} of {len(results)} draws; verdict helps "
        f"{sum(v.spiking == 'helps' for v in verdicts)}, probably "
        f"{sum(v.spiking == 'probably' for v in verdicts)}, not shown "
        f"{sum(v.spiking == 'not shown' for v in verdicts)}; local readings alone may do better "
        f"{sum(v.local_may_do_better for v in verdicts)}",
        flush=True,
    )


def main() -> None:
    """Run all draws and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--draws", type=int, default=15)
    parser.add_argument("--spikes", type=int, nargs="+", default=[8])
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--weights", nargs="+", default=["auto"], choices=WEIGHTS)
    parser.add_argument("--designs", nargs="+", default=["random"], choices=DESIGNS)
    parser.add_argument("--areas", nargs="+", default=list(AREAS), choices=list(AREAS))
    options = parser.parse_args()
    rows = read_rows(options.table)
    # 300 trees, leaf 3 and the square root of 4 covariates: the settings of the reference figures.
    forest = ForestSettings(trees=options.trees, min_leaf=3, max_features=0.5)
    print(f"{len(rows)} rows, {options.draws} draws, {options.trees} trees", flush=True)
    for area in options.areas:
        elsewhere = rows.take(rows.network != area)
        base = train_model(elsewhere, TrainSettings(forest=forest)).model
        local = rows.take(rows.network == area)
        for spikes, design, kind in product(options.spikes, options.designs, options.weights):
            label = f"{area:10s} k={spikes} {design:8s} {kind:8s}"
            summarise(label, run_draws(base, local, area, (spikes, design, kind), options.draws))


def run_draws(
    base: Model, local: TrainingRows, area: str, case: tuple[int, str, str], draws: int
) -> list[SpikeResult]:
    """Spike `base` in every draw."""
    spikes, design, kind = case
    tested = AREAS[area]
    fields = sorted(set(local.station))
    results = []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(fields)
        chosen = choose(local, order[tested:], spikes, design, draw)
        added = local.take(np.isin(local.station, chosen))
        tests = local.take(np.isin(local.station, order[:tested]))
        settings = SpikeSettings(weight=weight_of(kind, base, added))
        results.append(spike_model(base, added, settings, validation=tests))
    return results


if __name__ == "__main__":
    main()
