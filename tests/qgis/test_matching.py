"""Matching by rain and folds by distance, run as algorithms: numbers, files and wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingException,
    QgsRectangle,
    QgsVectorLayer,
)
from raster_files import write_raster
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

PLACE = (502000.0, 5598000.0)
CORNER = np.array([400_000.0, 5_500_000.0])


def write_observations(path: Path, rows: list[tuple[str, str]], place: Any = PLACE) -> Path:
    lines = [f'"POINT ({place[0]} {place[1]})",{station},{day},0.2' for station, day in rows]
    path.write_text("\n".join(["WKT,station,date,moisture", *lines, ""]), encoding="utf-8")
    path.with_suffix(".csvt").write_text("WKT,String,Date,Real\n", encoding="utf-8")
    crs = rasterio.crs.CRS.from_epsg(32633).to_wkt()
    path.with_suffix(".prj").write_text(crs, encoding="utf-8")
    return path


@pytest.fixture
def rainy(run: Callable, landscape: Any, tmp_path: Path) -> Path:
    """A covariate table with soil moisture on 1 April and 3 mm of rain on the 3rd."""
    with rasterio.open(landscape.wet[0]) as wet:
        profile, shape = wet.profile, wet.shape
    rain = []
    for day, amount in (("20210402", 0.5), ("20210403", 3.0)):
        rain.append(tmp_path / f"rain_{day}.tif")
        with rasterio.open(rain[-1], "w", **{**profile, "count": 1}) as dataset:
            dataset.write(np.full((1, *shape), amount, np.float32))
    table = tmp_path / "covariates.csv"
    # the rain holds for its day alone, so it is added with a tolerance of its own
    given = {"DYNAMIC": rain, "TOLERANCE": 0, "OUTPUT": tmp_path / "rain.csv"}
    run("covariatetable", given)
    given = {"STATIC": [landscape.soil], "DYNAMIC": [landscape.wet[0]], "OUTPUT": table}
    run("covariatetable", {**given, "APPEND_TO": tmp_path / "rain.csv", "TOLERANCE": 6})
    return table


def test_rain_refuses_matches(run: Callable, rainy: Path, tmp_path: Path, rows_of: Callable):
    source = write_observations(
        tmp_path / "points.csv",
        [("a", "2021-04-01"), ("a", "2021-04-02"), ("a", "2021-04-03"), ("a", "2021-04-05")],
    )
    given = {"INPUT": source, "COVARIATES": rainy, "OUTPUT": "memory:"}
    plain = rows_of(run("samplecovariates", given)["OUTPUT"])
    assert all(isinstance(row["wet"], float) for row in plain)
    report = tmp_path / "match.html"
    judged = run("samplecovariates", {**given, "RAIN": "rain", "REPORT": report})
    rows = rows_of(judged["OUTPUT"])
    kept = [isinstance(row["wet"], float) for row in rows]
    assert kept == [True, True, False, False]
    assert rows[0]["wet"] == plain[0]["wet"]
    assert all(isinstance(row["clay"], float) for row in rows)
    assert Path(judged["REPORT"]) == report
    assert "more than 2 mm of rain" in report.read_text(encoding="utf-8")
    more = {**given, "RAIN": "rain", "RAIN_MAX": 3.5, "RAIN_GROUPS": "wet"}
    rows = rows_of(run("samplecovariates", more)["OUTPUT"])
    assert all(isinstance(row["wet"], float) for row in rows)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RAIN": "snow"}, "RAIN: the covariate table has no 'snow'."),
        ({"RAIN": "rain", "RAIN_GROUPS": "radar"}, "RAIN_GROUPS names radar"),
        ({"RAIN_GROUPS": "wet"}, "RAIN_GROUPS is given without RAIN."),
    ],
)
def test_wrong_rain_is_refused(
    run: Callable, rainy: Path, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    source = write_observations(tmp_path / "points.csv", [("a", "2021-04-01")])
    with pytest.raises(QgsProcessingException) as caught:
        run(
            "samplecovariates",
            {"INPUT": source, "COVARIATES": rainy, **given, "OUTPUT": "memory:"},
        )
    assert str(caught.value).startswith(message)


def test_reasons_are_written_where_nothing_matches(
    run: Callable, rainy: Path, tmp_path: Path, rows_of: Callable
) -> None:
    source = write_observations(tmp_path / "points.csv", [("a", "2021-04-01")], (900000.0, 5e6))
    unmatched, output = tmp_path / "unmatched.gpkg", tmp_path / "out.gpkg"
    given = {"INPUT": source, "COVARIATES": rainy, "OUTPUT": output}
    with pytest.raises(QgsProcessingException) as caught:
        run(
            "samplecovariates",
            {**given, "UNMATCHED": unmatched, "REPORT": tmp_path / "match.html"},
        )
    assert str(caught.value).startswith("No row of the 1 has a covariate: 1 outside every raster.")
    assert str(caught.value).endswith("Reasons are in UNMATCHED and REPORT.")
    assert [row["reason"] for row in rows_of(unmatched)] == ["outside every raster"]
    assert (tmp_path / "match.html").exists() and not output.exists()


def memory_layer(kind: str, geometries: list[QgsGeometry], crs: str = "EPSG:32633") -> Any:
    layer = QgsVectorLayer(f"{kind}?crs={crs}", "domain", "memory")
    features = []
    for geometry in geometries:
        feature = QgsFeature()
        feature.setGeometry(geometry)
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer


def grouped_stations(rows: int = 2) -> tuple[Any, np.ndarray]:
    """Stations in five close groups within a square of 100 km."""
    rng = np.random.default_rng(11)
    places = np.repeat(rng.uniform(0, 1e5, (5, 2)), 9, axis=0) + rng.normal(0, 1500, (45, 2))
    places += CORNER
    layer = QgsVectorLayer(
        "Point?crs=EPSG:32633&field=station:string&field=network:string", "stations", "memory"
    )
    features = []
    for index, (x, y) in enumerate(np.repeat(places, rows, axis=0)):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([f"s{index // rows:02d}", f"N{index // rows // 9}"])
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(x, y)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer, places


def folds_of(rows: list[dict]) -> np.ndarray:
    found = {row["station"]: row["fold"] for row in rows}
    assert all(found[row["station"]] == row["fold"] for row in rows)
    return np.array([found[name] for name in sorted(found)])


def w_of(fold: np.ndarray, places: np.ndarray, domain: np.ndarray) -> float:
    among = cdist(places, places)
    among[fold[:, None] == fold[None]] = np.inf
    return float(wasserstein_distance(among.min(axis=1), cdist(domain, places).min(axis=1)))


def test_folds_by_distance_come_nearer_to_the_map(
    run: Callable, tmp_path: Path, rows_of: Callable
) -> None:
    stations, places = grouped_stations()
    square = QgsGeometry.fromRect(QgsRectangle(400_000, 5_500_000, 500_000, 5_600_000))
    report = tmp_path / "folds.html"
    given = {"INPUT": stations, "DOMAIN": memory_layer("Polygon", [square]), "OUTPUT": "memory:"}
    rows = rows_of(run("splitstations", {**given, "METHOD": "knndm", "REPORT": report})["OUTPUT"])
    fold = folds_of(rows)
    assert set(fold) == {1, 2, 3, 4, 5} and np.bincount(fold).max() <= 22
    assert {row["role"] for row in rows} == {"train"}
    random = folds_of(rows_of(run("splitstations", {**given, "METHOD": "k-fold"})["OUTPUT"]))
    grid = np.stack(np.meshgrid(*[np.arange(1000, 1e5, 2000)] * 2), -1).reshape(-1, 2)
    domain = grid + CORNER
    assert w_of(fold, places, domain) < 0.7 * w_of(random, places, domain)
    text = report.read_text(encoding="utf-8")
    assert "Map" in text and "Linnenbrink" in text and "1\u202f000 points of the domain" in text
    again = folds_of(rows_of(run("splitstations", {**given, "METHOD": "knndm"})["OUTPUT"]))
    np.testing.assert_array_equal(again, fold)


def test_the_domain_may_be_points_or_a_raster(
    run: Callable, tmp_path: Path, rows_of: Callable
) -> None:
    stations, _ = grouped_stations()
    rng = np.random.default_rng(0)
    spots = rng.uniform(0, 1e5, (300, 2)) + CORNER
    points = memory_layer("Point", [QgsGeometry.fromPointXY(QgsPointXY(*p)) for p in spots])
    path = tmp_path / "Gebiet ä.tif"
    place: dict[str, Any] = {"crs": "EPSG:32633", "cell": 1000, "corner": (400_000, 5_600_000)}
    write_raster(path, np.ones((100, 100), np.uint8), **place)
    for domain in (points, str(path)):
        given = {"INPUT": stations, "DOMAIN": domain, "METHOD": "knndm", "OUTPUT": "memory:"}
        fold = folds_of(rows_of(run("splitstations", given)["OUTPUT"]))
        groups = fold.reshape(5, 9)
        assert np.mean(groups == np.median(groups, axis=1, keepdims=True)) > 0.8


def test_the_report_of_roles_says_how_far_away_they_are_tested(
    run: Callable, chain: Any, landscape: Any, tmp_path: Path
) -> None:
    given = {"INPUT": chain.training, "METHOD": "leave-network-out", "HOLD_OUT": "Alb"}
    report = tmp_path / "roles.html"
    run(
        "splitstations",
        {**given, "DOMAIN": landscape.dem, "OUTPUT": "memory:", "REPORT": report},
    )
    text = report.read_text(encoding="utf-8")
    assert "14 : 7" in text and "Tested at" in text
    years = {"INPUT": chain.training, "METHOD": "years", "HOLD_OUT": "2021"}
    with pytest.raises(QgsProcessingException, match="No row gets the role train"):
        run("splitstations", {**years, "OUTPUT": "memory:"})


@pytest.mark.parametrize(
    ("domain", "folds", "message"),
    [
        (None, 5, "METHOD knndm needs DOMAIN, the area that is to be mapped."),
        ("square", 2, "2 folds by nearest-neighbour distance cannot be made."),
        ("nothing", 5, "DOMAIN holds no area."),
        ("gone.gpkg", 5, ""),
    ],
)
def test_what_cannot_be_matched_by_distance_is_refused(
    run: Callable, tmp_path: Path, domain: str | None, folds: int, message: str
) -> None:
    stations, _ = grouped_stations()
    square = QgsGeometry.fromRect(QgsRectangle(400_000, 5_500_000, 500_000, 5_600_000))
    known = {"square": [square], "nothing": []}
    layer = memory_layer("Polygon", known[domain]) if domain in known else domain
    output = tmp_path / "out.gpkg"
    given = {"INPUT": stations, "METHOD": "knndm", "FOLDS": folds, "DOMAIN": layer}
    with pytest.raises(QgsProcessingException) as caught:
        run("splitstations", {**given, "OUTPUT": output})
    assert str(caught.value).startswith(message)
    assert message or "DOMAIN" in str(caught.value)
    assert not output.exists()
