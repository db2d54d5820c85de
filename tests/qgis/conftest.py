"""A QGIS that lives as long as the test process, with the provider, and a small landscape."""

from __future__ import annotations

import csv
import datetime
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# QGIS reads its profile when it is imported, so the variables come first
# ruff: noqa: E402
_PROFILE_VARIABLES = (
    "QGIS_CUSTOM_CONFIG_PATH",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
)
_PROFILE = tempfile.mkdtemp(prefix="soil-moisture-qgis-")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
for _variable in _PROFILE_VARIABLES:
    if _variable not in os.environ:
        os.environ[_variable] = _PROFILE

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsVectorLayer,
)
from raster_files import write_raster

CRS = "EPSG:32633"
WEST, NORTH, CELL, CELLS = 500_000.0, 5_600_000.0, 100.0, 60
DAYS = [datetime.date(2021, 4, 1) + datetime.timedelta(days=4 * i) for i in range(6)]
NETWORKS = ("Alb", "Börde", "Moor")
STATIONS, PROBES = 7, 16


@pytest.fixture(scope="session")
def qgis_app() -> Iterator[QgsApplication]:
    """QGIS with Processing."""
    application = QgsApplication.instance() or QgsApplication([], False)
    application.initQgis()
    sys.path.append(str(Path(QgsApplication.pkgDataPath()) / "python" / "plugins"))
    from processing.core.Processing import Processing

    Processing.initialize()
    yield application
    QgsProject.instance().clear()
    shutil.rmtree(_PROFILE, ignore_errors=True)


@pytest.fixture(scope="session")
def provider(qgis_app: QgsApplication) -> Iterator[Any]:
    """The provider, registered by the plugin itself as `qgis_process` would."""
    import soil_moisture_mapper

    plugin = soil_moisture_mapper.classFactory(None)
    plugin.initProcessing()
    yield QgsApplication.processingRegistry().providerById("soilmoisture")
    plugin.unload()


class Feedback(QgsProcessingFeedback):
    """Keeps what a run says; counts how often it is asked and says stop from one ask on."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__(False)
        self.said: list[str] = []
        self.warned: list[str] = []
        self.fractions: list[float] = []
        self.asked = 0
        self._stop_at = stop_at
        self.progressChanged.connect(lambda percent: self.fractions.append(percent / 100))

    def pushInfo(self, info: str) -> None:
        self.said.append(info)

    def pushWarning(self, warning: str) -> None:
        self.warned.append(warning)

    def isCanceled(self) -> bool:
        self.asked += 1
        return self._stop_at is not None and self.asked >= self._stop_at


@pytest.fixture(scope="session")
def feedback() -> type[Feedback]:
    """The class of the feedback above."""
    return Feedback


@pytest.fixture(scope="session")
def run(provider: Any) -> Callable[..., dict[str, Any]]:
    """Run an algorithm through `processing.run`."""
    import processing

    def run_algorithm(
        name: str, parameters: dict[str, Any], feedback: QgsProcessingFeedback | None = None
    ) -> dict[str, Any]:
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        return processing.run(
            f"soilmoisture:{name}",
            {key: _plain(value) for key, value in parameters.items()},
            context=context,
            feedback=feedback or Feedback(),
        )

    return run_algorithm


@pytest.fixture(scope="session")
def refused(run: Callable) -> Callable[..., None]:
    """Check that a run ends with exactly this message."""

    def check(name: str, parameters: dict[str, Any], message: str) -> None:
        with pytest.raises(QgsProcessingException) as caught:
            run(name, parameters)
        assert str(caught.value) == message

    return check


@pytest.fixture
def project_crs(qgis_app: QgsApplication) -> Iterator[Callable[[str], None]]:
    """Give the project a coordinate reference system for a test."""
    project = QgsProject.instance()
    before = project.crs()
    yield lambda name: project.setCrs(QgsCoordinateReferenceSystem(name))
    project.setCrs(before)


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Any], list[dict[str, Any]]]:
    """Read all rows of a layer or a vector file, with x and y."""

    def read(layer: Any) -> list[dict[str, Any]]:
        opened = layer
        if not isinstance(layer, QgsVectorLayer):
            opened = QgsVectorLayer(str(layer), "layer", "ogr")
        assert opened.isValid(), layer
        names = [field.name() for field in opened.fields()]
        found = []
        for feature in opened.getFeatures():
            row = dict(zip(names, feature.attributes()))
            if feature.hasGeometry() and not feature.geometry().isEmpty():
                point = feature.geometry().asPoint()
                row["x"], row["y"] = point.x(), point.y()
            found.append(row)
        return found

    return read


@dataclass(frozen=True)
class Landscape:
    """Files of a small region with a field in it.

    Moisture is 0.10 + 0.25 wet + 0.004 (clay − 20), and 0.08 more in the field, whose clay lies
    above that of the region.
    """

    folder: Path
    dem: Path
    soil: Path
    wet: list[Path]
    stations: Path
    readings: Path
    probes: Path
    boundary: Path


@pytest.fixture(scope="session")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    """The landscape, in a folder with blank and umlaut."""
    folder = tmp_path_factory.mktemp("land") / "Kleine Böden"
    folder.mkdir()
    rng = np.random.default_rng(3)
    column, row = np.meshgrid(np.arange(CELLS) + 0.5, np.arange(CELLS) + 0.5)
    dem = 200 + 20 * np.sin(column / 7) + 15 * np.cos(row / 9) + 0.3 * row
    clay = 15 + 5 * np.sin(row / 5) + 5 * np.cos(column / 8) + 12 * (column > 40)
    _write_raster(folder / "Gelände.tif", dem, ["elevation"])
    _write_raster(folder / "soil.tif", np.stack([clay, 60 - clay]), ["clay", "sand"])
    wetness = [0.2, 0.5, 0.9, 0.6, 0.4, 0.8]
    wet_files, wet = [], []
    for day, mean in zip(DAYS, wetness):
        grid = mean + 0.1 * np.sin(column / 20) * np.cos(row / 15)
        path = folder / f"wet_{day:%Y%m%d}.tif"
        _write_raster(path, grid, [None], day)
        wet_files.append(path)
        wet.append(grid)

    def moisture(place: tuple[int, int], day: int, local: bool) -> float:
        value = 0.10 + 0.25 * wet[day][place] + 0.004 * (clay[place] - 20) + 0.08 * local
        return float(np.clip(value + rng.normal(0, 0.005), 0.01, 0.6))

    stations, readings, probes = [], [], []
    for n, network in enumerate(NETWORKS):
        for s in range(STATIONS):
            place = (int(rng.integers(2, CELLS - 2)), int(rng.integers(2, 38)))
            name = f"{network} {s}"
            stations.append((name, network, "wet" if s % 2 else "dry", place))
            readings += [
                (name, str(d), f"{moisture(place, i, False) + 0.01 * (n - 1):.4f}")
                for i, d in enumerate(DAYS)
            ]
    for p in range(PROBES):
        place = (int(rng.integers(20, 40)), int(rng.integers(42, 58)))
        name = f"P{p:02d}"
        stations.append((name, "Feld", "wet" if p % 2 else "dry", place))
        probes += [(name, str(d), f"{moisture(place, i, True):.4f}") for i, d in enumerate(DAYS)]
    _write_points(folder / "stations.gpkg", stations)
    _write_readings(folder / "readings.csv", readings)
    _write_readings(folder / "probes.csv", probes)
    _write_boundary(folder / "Schlag.geojson")
    return Landscape(
        folder,
        folder / "Gelände.tif",
        folder / "soil.tif",
        wet_files,
        folder / "stations.gpkg",
        folder / "readings.csv",
        folder / "probes.csv",
        folder / "Schlag.geojson",
    )


@dataclass(frozen=True)
class Chain:
    """Outputs of the whole chain on the landscape."""

    folder: Path
    terrain: Path
    covariates: Path
    observations: Path
    training: Path
    split: Path
    local: Path
    spiking: Path
    model: Path
    trained: dict[str, Any]
    spiked: Path
    spike: dict[str, Any]


FAST = {"TREES": 15, "MIN_LEAF": 3}


@pytest.fixture(scope="session")
def chain(landscape: Landscape, run: Callable) -> Chain:
    """Run the chain up to the spiked model, each step through its algorithm."""
    folder = landscape.folder

    def path(name: str) -> Path:
        return folder / name

    terrain = ["elevation", "slope", "aspect_sin", "aspect_cos"]
    run(
        "terraincovariates",
        {"INPUT": landscape.dem, "PARAMETERS": terrain, "OUTPUT": path("terrain.tif")},
    )
    run(
        "covariatetable",
        {
            "STATIC": [path("terrain.tif"), landscape.soil],
            "DYNAMIC": landscape.wet,
            "GROUPS": "clay=soil\nsand=soil\nwet=smap",
            "OUTPUT": path("covariates.csv"),
        },
    )
    for source, observations, training in (
        (landscape.readings, "observations.gpkg", "training.gpkg"),
        (landscape.probes, "Sonden.gpkg", "local.gpkg"),
    ):
        given = {"INPUT": source, "STATIONS": landscape.stations}
        run("importstations", {**given, "DEPTH_MAX": 0.3, "OUTPUT": path(observations)})
        given = {"INPUT": path(observations), "COVARIATES": path("covariates.csv")}
        run("samplecovariates", {**given, "OUTPUT": path(training)})
    run(
        "splitstations",
        {"INPUT": path("training.gpkg"), "METHOD": "stratified", "OUTPUT": path("split.gpkg")},
    )
    trained = run(
        "trainmodel",
        {
            "INPUT": path("split.gpkg"),
            "GROUPS": ["landcover"],
            "COVARIATE_TABLE": path("covariates.csv"),
            **FAST,
            "OUTPUT": path("model.smm"),
            "REPORT": path("model.html"),
            "METRICS": path("model.csv"),
        },
    )
    run(
        "selectspiking",
        {"INPUT": path("local.gpkg"), "COUNT": 8, "OUTPUT": path("spiking.gpkg")},
    )
    spike = run(
        "spikemodel",
        {
            "MODEL": path("model.smm"),
            "INPUT": path("spiking.gpkg"),
            "OUTPUT": path("Feld.smm"),
            "REPORT": path("Feld.html"),
            "METRICS": path("Feld.csv"),
        },
    )
    return Chain(
        folder=folder,
        terrain=path("terrain.tif"),
        covariates=path("covariates.csv"),
        observations=path("observations.gpkg"),
        training=path("training.gpkg"),
        split=path("split.gpkg"),
        local=path("local.gpkg"),
        spiking=path("spiking.gpkg"),
        model=path("model.smm"),
        trained=trained,
        spiked=path("Feld.smm"),
        spike=spike,
    )


@pytest.fixture(scope="session")
def scores() -> Callable[[Path], list[dict[str, str]]]:
    """Read a metrics table."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    return read


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _write_raster(
    path: Path, values: np.ndarray, names: list[str | None], day: datetime.date | None = None
) -> None:
    tags = {"TIFFTAG_DATETIME": f"{day:%Y:%m:%d} 00:00:00"} if day else {}
    place: dict[str, Any] = {"crs": CRS, "cell": CELL, "corner": (WEST, NORTH), "nodata": -9999.0}
    write_raster(path, values, names=names, dtype="float32", tags=tags, **place)


def _write_points(path: Path, stations: list[tuple[str, str, str, tuple[int, int]]]) -> None:
    from qgis.core import (
        Qgis,
        QgsCoordinateReferenceSystem,
        QgsCoordinateTransformContext,
        QgsFeature,
        QgsField,
        QgsFields,
        QgsGeometry,
        QgsPointXY,
        QgsVectorFileWriter,
    )
    from qgis.PyQt.QtCore import QMetaType

    fields = QgsFields()
    for name in ("station", "network", "landcover"):
        fields.append(QgsField(name, QMetaType.Type.QString))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    writer = QgsVectorFileWriter.create(
        str(path),
        fields,
        Qgis.WkbType.Point,
        QgsCoordinateReferenceSystem(CRS),
        QgsCoordinateTransformContext(),
        options,
    )
    for *attributes, (row, column) in stations:
        feature = QgsFeature(fields)
        feature.setAttributes(attributes)
        point = QgsPointXY(WEST + CELL * (column + 0.5), NORTH - CELL * (row + 0.5))
        feature.setGeometry(QgsGeometry.fromPointXY(point))
        writer.addFeature(feature)
    del writer


def _write_readings(path: Path, rows: list[tuple[str, str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["station", "date", "moisture"])
        writer.writerows(rows)


def _write_boundary(path: Path) -> None:
    west, east = WEST + 42 * CELL, WEST + 58 * CELL
    south, north = NORTH - 40 * CELL, NORTH - 20 * CELL
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    polygon = str(ring)
    path.write_text(
        '{"type": "FeatureCollection", "crs": {"type": "name", "properties": '
        '{"name": "urn:ogc:def:crs:EPSG::32633"}}, "features": [{"type": "Feature", '
        f'"properties": {{}}, "geometry": {{"type": "Polygon", "coordinates": [{polygon}]}}}}]}}',
        encoding="utf-8",
    )
