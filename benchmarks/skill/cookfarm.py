"""Skill of spiking on one farm, the control: no gain is expected there.

Usage: bash scripts/env.sh python benchmarks/skill/cookfarm.py FOLDER [--draws 20]

FOLDER holds observations.csv.gz and stations.gpkg of the Cook Agronomy Farm (Gasch et al. 2015,
doi:10.1016/j.spasta.2015.04.001). The 14 easternmost of 42 loggers are the field, the others the
region: 0.3 m, 2011 and 2012, every seventh day of the year. Each draw tests 7 loggers of the field
and spikes with the other 7.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from cookfarm_readings import Record, day_of_year, read_records, read_stations, select_rows
from poland import interval, score
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings
from soil_moisture_mapper.plugin.core.models.spiking import SpikeSettings, spike_model
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.stations.rows import TrainingRows

STATIC = ["DEM", "TWI", "NDRE.M", "NDRE.Sd", "Bt_030cm", "BLD_030cm"]
STATIC += ["grid_Cook_fall_ECa", "grid_Cook_spr_ECa"]
FIELD_EASTING = 493832


def read_rows(folder: Path) -> tuple[TrainingRows, np.ndarray]:
    """Return the rows, and which are of the field."""
    stations, records = read_stations(folder), read_records(folder)
    rows = select_rows(
        records,
        stations,
        lambda day: day[:4] in ("2011", "2012") and day_of_year(day) % 7 == 0,
        STATIC,
        weather_of_days(records),
    )
    east = {name for name, values in stations.items() if values["Easting"] >= FIELD_EASTING}
    return rows, np.array([name in east for name in rows.station])


def weather_of_days(records: list[Record]) -> dict[str, dict[str, float]]:
    """Return rain of the wet spell, of 30 days, mean temperature of 7 days, and the season."""
    daily = {record["date"]: record for record in records}
    days = sorted(daily)
    rain = np.array([float(daily[d]["precip_mm"]) for d in days])
    warmth = np.array([(float(daily[d]["tmax_c"]) + float(daily[d]["tmin_c"])) / 2 for d in days])
    found = {}
    for i, day in enumerate(days):
        angle = 2 * np.pi * day_of_year(day) / 365.25
        found[day] = {
            "precip_cum": float(daily[day]["precip_cum_mm"]),
            "rain_30": float(rain[max(0, i - 29) : i + 1].sum()),
            "temperature_7": float(warmth[max(0, i - 6) : i + 1].mean()),
            "sin_doy": float(np.sin(angle)),
            "cos_doy": float(np.cos(angle)),
        }
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
