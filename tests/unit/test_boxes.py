"""Which scores of stations a validation report draws as boxes."""

from __future__ import annotations

import numpy as np
from rasterio.crs import CRS
from soil_moisture_mapper.plugin.core.evaluation.metrics import score_table
from soil_moisture_mapper.plugin.core.evaluation.reports import boxes_section as boxes
from soil_moisture_mapper.plugin.core.stations.rows import training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

READINGS = (1, 1, 1, 2, 3, 4, 5)  # of the stations a to g


def make_rows():
    n = sum(READINGS)
    columns = {
        "station": np.repeat(np.array(list("abcdefg"), dtype=object), READINGS),
        "network": np.repeat(np.array(list("NNNNSSS"), dtype=object), READINGS),
        "cover": np.repeat(np.array(list("xyxyxyx"), dtype=object), READINGS),
        "date": np.datetime64("2021-04-01") + np.arange(n),
        "moisture": 0.2 + 0.01 * (5 * np.arange(n) % 7),
        "wet": np.arange(n, dtype=float),
    }
    table = Table(columns, np.full(n, 5e5), np.full(n, 5e6), CRS.from_epsg(32633).to_wkt())
    groups = ["network", "cover"]
    return training_rows(table, covariates=["wet"], groups=groups, min_stations=1)


def test_the_network_named_as_a_class_is_drawn_once():
    assert [field for field, _ in boxes._groupings(make_rows())] == ["network", "cover"]


def test_a_station_of_one_reading_has_no_unbiased_error():
    rows = make_rows()
    scores = score_table(
        rows.y, rows.y + 0.02 * np.sin(rows.X[:, 0]), station=rows.station, source="model"
    )
    group = dict(zip("abcdefg", "NNNNSSS"))
    names, found = boxes._scores_by_group(scores, group, {"model": "model"})
    assert names == ["N", "S"]
    assert [len(values) for values in found["model", "rmse"]] == [4, 3]
    assert [len(values) for values in found["model", "ubrmse"]] == [1, 3]
    assert min(value for values in found["model", "ubrmse"] for value in values) > 0
