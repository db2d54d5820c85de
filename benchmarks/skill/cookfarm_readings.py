"""Readings of the loggers of the Cook Agronomy Farm, as training rows.

The folder holds observations.csv.gz and stations.gpkg (Gasch et al. 2015,
doi:10.1016/j.spasta.2015.04.001). Importing this module makes the package importable too.
"""

from __future__ import annotations

import csv
import gzip
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import clone_package

clone_package.register()

from soil_moisture_mapper.plugin.core.stations.rows import TrainingRows, training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

DEPTH = "0.3"

Record = dict[str, str]


def read_stations(folder: Path) -> dict[str, dict[str, float]]:
    """Return the fields of each logger."""
    path = folder / "stations.gpkg"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        name = connection.execute("select table_name from gpkg_contents").fetchone()[0]
        rows = connection.execute(f'select * from "{name}"').fetchall()  # noqa: S608
    return {row["station"]: dict(row) for row in rows}


def read_records(folder: Path) -> list[Record]:
    """Return the readings of all depths and days."""
    with gzip.open(folder / "observations.csv.gz", "rt", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def day_of_year(date: str) -> int:
    """Return 1 for the first of January."""
    start = np.datetime64(f"{date[:4]}-01-01")
    return int((np.datetime64(date) - start).astype(int)) + 1


def select_rows(
    records: list[Record],
    stations: dict[str, dict[str, float]],
    keep: Callable[[str], bool],
    static: list[str],
    daily: dict[str, dict[str, float]],
) -> TrainingRows:
    """Return the rows at 0.3 m of the days to keep.

    Parameters
    ----------
    keep : callable
        Whether a day, given as its ISO date, is kept.
    static : list of str
        Covariates taken from `stations`.
    daily : dict
        ISO date → covariate → value.
    """
    columns: dict[str, list] = defaultdict(list)
    for record in records:
        day = record["date"]
        if record["depth_m"] != DEPTH or not keep(day):
            continue
        columns["station"].append(record["station"])
        columns["date"].append(np.datetime64(day))
        columns["moisture"].append(float(record["vwc"]))
        for name in static:
            columns[name].append(stations[record["station"]][name])
        for name, value in daily[day].items():
            columns[name].append(value)
    arrays = {
        name: np.array(values, dtype=object if name == "station" else None)
        for name, values in columns.items()
    }
    covariates = [name for name in arrays if name not in ("station", "date", "moisture")]
    return training_rows(Table(arrays), covariates=covariates)
