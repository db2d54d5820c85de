"""Designs in QGIS: which stations spike, and where new probes should stand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest


def spikes(rows: list[dict[str, Any]]) -> set[str]:
    return {row["station"] for row in rows if row["role"] == "spike"}


@pytest.mark.parametrize("method", ["random", "coverage", "lhs"])
def test_spikes_beside_those_chosen_already(
    run: Callable, chain: Any, rows_of: Callable, method: str
) -> None:
    first = spikes(rows_of(chain.spiking))
    given = {"INPUT": chain.spiking, "BASE_MODEL": chain.model, "METHOD": method, "COUNT": 10}
    chosen = spikes(rows_of(run("selectspiking", {**given, "OUTPUT": "memory:"})["OUTPUT"]))
    assert first < chosen
    assert len(chosen) == 10


def test_log_of_a_design(run: Callable, chain: Any, feedback: Any, tmp_path: Path) -> None:
    heard = feedback()
    output = tmp_path / "spikes.gpkg"
    run(
        "selectspiking",
        {"INPUT": chain.local, "METHOD": "coverage", "COUNT": 4, "OUTPUT": output},
        heard,
    )
    said = "\n".join(heard.said)
    assert "Covariates: aspect_cos, aspect_sin, clay, elevation, sand, slope, wet." in said
    assert "4 of 16 stations spike" in said
    assert "where as many are drawn at random (mean of 100)" in said


def test_a_design_is_spiked_with(
    run: Callable, chain: Any, rows_of: Callable, tmp_path: Path
) -> None:
    chosen, model = tmp_path / "spikes.gpkg", tmp_path / "spiked.smm"
    given = {"INPUT": chain.local, "BASE_MODEL": chain.model, "METHOD": "lhs", "COUNT": 8}
    run("selectspiking", {**given, "STRATA": "landcover", "OUTPUT": chosen})
    covers = Counter(r["landcover"] for r in rows_of(chosen) if r["role"] == "spike")
    assert sum(covers.values()) == 8 * 6  # days
    assert min(covers["wet"], covers["dry"]) >= 3 * 6
    run("spikemodel", {"MODEL": chain.model, "INPUT": chosen, "OUTPUT": model})
    assert model.exists()


def test_count_below_the_chosen_is_refused(refused: Callable, chain: Any) -> None:
    refused(
        "selectspiking",
        {"INPUT": chain.spiking, "COUNT": 3, "OUTPUT": "memory:"},
        "COUNT is 3, but 8 stations have the role spike already. Choose a larger COUNT, or empty "
        "the field 'role' to choose anew.",
    )


def test_more_spikes_than_stations_are_refused(refused: Callable, chain: Any) -> None:
    refused(
        "selectspiking",
        {"INPUT": chain.local, "METHOD": "coverage", "COUNT": 17, "OUTPUT": "memory:"},
        "COUNT is 17, but there are 16 stations. Choose a smaller COUNT, or 0 to use FRACTION.",
    )


@pytest.fixture
def field(chain: Any, landscape: Any) -> dict[str, Any]:
    """What a plan of the field needs."""
    return {
        "COVARIATES": chain.covariates,
        "GRID": landscape.soil,
        "ACCESS": landscape.boundary,
        "EXISTING": chain.local,
    }


@pytest.mark.parametrize("method", ["coverage", "lhs", "random"])
def test_plan_of_new_probes(
    run: Callable, field: Any, chain: Any, rows_of: Callable, tmp_path: Path, method: str
) -> None:
    output = tmp_path / "Neue Sonden.gpkg"
    given = {**field, "METHOD": method, "COUNT": 5, "MIN_DISTANCE": 250.0}
    run("planstations", {**given, "OUTPUT": output})
    rows = rows_of(output)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    standing = {(row["x"], row["y"]) for row in rows_of(chain.local)}
    places = [(row["x"], row["y"]) for row in rows]
    pairs = [*combinations(places, 2), *((p, s) for p in places for s in standing)]
    assert min(math.dist(*pair) for pair in pairs) >= 250
    assert all(504_200 < x < 505_800 and 5_596_000 < y < 5_598_000 for x, y in places)
    assert 0 < sum(row["share"] for row in rows) < 1
    means = [row["mean_distance"] for row in rows]
    assert means == sorted(means, reverse=True)
    assert {"clay", "sand", "elevation", "slope", "gain", "nearest_m"} <= set(rows[0])
    assert "wet" not in rows[0]


def test_plan_by_extent_date_and_model(
    run: Callable, chain: Any, rows_of: Callable, feedback: Any, tmp_path: Path
) -> None:
    heard, output = feedback(), tmp_path / "plan.csv"
    run(
        "planstations",
        {
            "COVARIATES": chain.covariates,
            "DATE": "2021-04-05",
            "EXTENT": "500000,506000,5594000,5600000 [EPSG:32633]",
            "RESOLUTION": 200,
            "COUNT": 4,
            "BASE_MODEL": chain.model,
            "OUTPUT": output,
        },
        heard,
    )
    rows = rows_of(output)
    assert len(rows) == 4
    assert all(row["dissimilarity"] >= 0 for row in rows)
    assert "wet" in rows[0]
    said = "\n".join(heard.said)
    assert "Grid: 30 × 30 cells of 200" in said
    assert " cells inside the grid stand for the field and may be chosen." in said
    assert not rows[0]["gain"]  # no probe stands yet


def test_probes_that_do_not_fit_are_refused(refused: Callable, field: Any) -> None:
    refused(
        "planstations",
        {**field, "EXISTING": None, "COUNT": 9, "MIN_DISTANCE": 1400.0, "OUTPUT": "memory:"},
        # the cells' centres span 1500 m by 1900 m: the corners
        "COUNT is 9, but only 4 places at least 1400 m apart were found. Choose a COUNT of 4 or "
        "less, or a smaller MIN_DISTANCE.",
    )


def test_plan_needs_a_grid(refused: Callable, chain: Any) -> None:
    refused(
        "planstations",
        {"COVARIATES": chain.covariates, "OUTPUT": "memory:"},
        "Neither GRID nor EXTENT is given. Choose a raster as GRID, or an EXTENT and a RESOLUTION.",
    )


def test_access_without_polygons_is_refused(refused: Callable, field: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.geojson"
    empty.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"a": 1}, '
        '"geometry": {"type": "Polygon", "coordinates": []}}]}',
        encoding="utf-8",
    )
    refused(
        "planstations",
        {**field, "ACCESS": empty, "OUTPUT": "memory:"},
        "ACCESS holds no polygon. Choose a layer of polygons that lie in the grid.",
    )


def test_plan_for_a_model_without_rows_is_refused(
    run: Callable, refused: Callable, field: Any, chain: Any, tmp_path: Path
) -> None:
    model = tmp_path / "bare.smm"
    run(
        "trainmodel",
        {"INPUT": chain.training, "TREES": 2, "EMBED_TRAINING": False, "CALIBRATE": False}
        | {"OUTPUT": model},
    )
    refused(
        "planstations",
        {**field, "BASE_MODEL": model, "OUTPUT": "memory:"},
        "The model holds no training rows, so what it covers cannot be told. "
        "Train it again with EMBED_TRAINING.",
    )
