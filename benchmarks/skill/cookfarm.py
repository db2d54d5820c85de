"""Skill of spiking on one farm, the control: no gain is expected there.

Usage: bash scripts/env.sh python benchmarks/skill/cookfarm.py FOLDER [--draws 20]

FOLDER holds observations.csv.gz and stations.gpkg of the Cook Agronomy Farm (Gasch et al. 2015,
doi:10.1016/j.spasta.2015.04.001). The 14 easternmost of 42 loggers are the field, the others the
region: 0.3 m, 2011 and 2012, every seventh day of the year. Each draw tests 7 loggers of the field
and spikes with the other 7.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sqlite3
import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import clone_package

clone_package.register()

from poland import interval, score
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings
from soil_moisture_mapper.plugin.core.models.spiking import SpikeSettings, spike_model
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.stations.rows import TrainingRows, training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

STATIC = ["DEM", "TWI", "NDRE.M", "NDRE.Sd", "Bt_030cm", "BLD_030cm"]
STATIC += ["grid_Cook_fall_ECa", "grid_Cook_spr_ECa"]
WEATHER = ["precip_cum", "rain_30", "temperature_7", "sin_doy", "cos_doy"]
FIELD_EASTING = 493832


def read_stations(path: Path) -> dict[str, dict[str, float]]:
    """Return the covariates and the easting of each logger."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        name = connection.execute("select table_name from gpkg_contents").fetchone()[0]
        rows = connection.execute(f'select * from "{name}"').fetchall()  # noqa: S608
    return {row["station"]: {n: row[n] for n in [*STATIC, "Easting"]} for row in rows}


def read_rows(folder: Path) -> tuple[TrainingRows, np.ndarray]:
    """Return the rows, and which are of the field."""
    stations = read_stations(folder / "stations.gpkg")
    with gzip.open(folder / "observations.csv.gz", "rt", encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    daily = {
        r["date"]: tuple(float(r[n]) for n in ("precip_mm", "tmax_c", "tmin_c", "precip_cum_mm"))
        for r in records
    }
    weather = weather_of_days(daily)
    columns: dict[str, list] = defaultdict(list)
    for record in records:
        day = np.datetime64(record["date"])
        year = record["date"][:4]
        doy = int((day - np.datetime64(f"{year}-01-01")).astype(int)) + 1
        if record["depth_m"] != "0.3" or year not in ("2011", "2012") or doy % 7:
            continue
        columns["station"].append(record["station"])
        columns["date"].append(day)
        columns["moisture"].append(float(record["vwc"]))
        for name in STATIC:
            columns[name].append(stations[record["station"]][name])
        for name, value in zip(WEATHER, weather[record["date"]]):
            columns[name].append(value)
    arrays = {
        name: np.array(values, dtype=object if name == "station" else None)
        for name, values in columns.items()
    }
    rows = training_rows(Table(arrays), covariates=STATIC + WEATHER)
    east = {name for name, values in stations.items() if values["Easting"] >= FIELD_EASTING}
    return rows, np.array([name in east for name in rows.station])


def weather_of_days(daily: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """Return rain of the wet spell, of 30 days, mean temperature of 7 days, and the season."""
    days = sorted(daily)
    rain = np.array([daily[d][0] for d in days])
    warmth = np.array([(daily[d][1] + daily[d][2]) / 2 for d in days])
    found = {}
    for i, day in enumerate(days):
        date = np.datetime64(day)
        doy = int((date - np.datetime64(f"{day[:4]}-01-01")).astype(int)) + 1
        angle = 2 * np.pi * doy / 365.25
        found[day] = (
            daily[day][3],
            float(rain[max(0, i - 29) : i + 1].sum()),
            float(warmth[max(0, i - 6) : i + 1].mean()),
            float(np.sin(angle)),
            float(np.cos(angle)),
        )
    return found


def main() -> None:
    """Run all draws and print their means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--trees", type=int, default=150)
    parser.add_argument("--weight", type=float, default=0.0, help="0 = automatic, 1 = pooled")
    options = parser.parse_args()
    rows, field = read_rows(options.folder)
    region, local = rows.take(~field), rows.take(field)
    print(f"region {len(region)} rows, field {len(local)} rows")
    forest = ForestSettings(trees=options.trees, min_leaf=5, max_features=1 / 3)
    base = train_model(region, TrainSettings(forest=forest)).model
    loggers = sorted(set(local.station))
    results = []
    for draw in range(options.draws):
        order = np.random.default_rng(draw).permutation(loggers)
        tests = local.take(np.isin(local.station, order[:7]))
        spikes = local.take(np.isin(local.station, order[7:]))
        results.append(
            spike_model(base, spikes, SpikeSettings(weight=options.weight), validation=tests)
        )
    for name, kind in (("region", "before"), ("local", "local"), ("spiked", "after")):
        scores = [score(getattr(r, f"validate_{kind}")) for r in results]
        rmse = np.array([one["rmse"] for one in scores])
        print(f"{name:7s} RMSE {rmse.mean():.4f} (SD {rmse.std():.4f})")
    for calibrated in (False, True):
        values = np.array([interval(r.validate_after, calibrated) for r in results])
        label = "calibrated" if calibrated else "raw"
        print(f"90 % interval {label:10s} coverage {values[:, 0].mean():.3f}")
    words = [r.verdict.spiking for r in results]
    print("verdict", {word: words.count(word) for word in ("helps", "probably", "not shown")})


if __name__ == "__main__":
    main()
