"""The whole chain on the shipped landscape, whose truth is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from soil_moisture_mapper.plugin.core.covariates.relief.terrain import terrain_covariates
from soil_moisture_mapper.plugin.core.covariates.table import RasterInput, build_table
from soil_moisture_mapper.plugin.core.covariates.timeseries.statistics import temporal_statistics
from soil_moisture_mapper.plugin.core.mapping.prediction import predict_map
from soil_moisture_mapper.plugin.core.models.record import predict_model
from soil_moisture_mapper.plugin.core.models.spiking import SpikeSettings, spike_model
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.rasters.grids import transform_points
from soil_moisture_mapper.plugin.core.rasters.reading import describe_raster, read_band
from soil_moisture_mapper.plugin.core.rasters.writing import rasterize_mask
from soil_moisture_mapper.plugin.core.stations.design.spiking_design import select_spiking
from soil_moisture_mapper.plugin.core.stations.folds.splits import split_stations
from soil_moisture_mapper.plugin.core.stations.imports.importing import import_stations
from soil_moisture_mapper.plugin.core.stations.rows import training_rows
from soil_moisture_mapper.plugin.core.stations.sampling.matching import sample_covariates
from soil_moisture_mapper.plugin.core.synthetic import make_landscape

pytestmark = pytest.mark.model

MAP_DAY = date(2021, 7, 23)


@dataclass(frozen=True)
class Score:
    me: float
    rmse: float
    ubrmse: float
    coverage: float


def score(model, rows):
    predicted = predict_model(model, rows.X, (0.05, 0.95))
    error = predicted.mean - rows.y
    low, high = predicted.quantiles.T
    return Score(
        me=error.mean(),
        rmse=np.sqrt((error**2).mean()),
        ubrmse=error.std(),
        coverage=np.mean((rows.y >= low) & (rows.y <= high)),
    )


class Chain:
    """Covariate and training tables of region and field, made once."""

    def __init__(self, landscape: Path, folder: Path) -> None:
        self.landscape = landscape
        self.folder = folder
        self.covariates = {area: self._describe(area) for area in ("region", "field")}
        self.region = self._sample("stations.csv", "region")
        self.field = self._sample("probes.csv", "field")

    def _describe(self, area):
        source, target = self.landscape / area, self.folder / area
        terrain_covariates(source / "dem.tif", 1, target / "terrain.tif")
        passes = [RasterInput(str(path)) for path in sorted((source / "s1").glob("*.tif"))]
        two = ["min", "mean", "max", "sd"]
        temporal_statistics(passes, two, target / "s1_statistics.tif")
        static = [target / "terrain.tif", target / "s1_statistics.tif", source / "soil.tif"]
        others = sorted((source / "ndvi").glob("*.tif"))
        others += sorted((self.landscape / "coarse").glob("*.tif"))
        return build_table(
            [RasterInput(str(path)) for path in static],
            [*passes, *(RasterInput(str(path)) for path in others)],
            output=target / "covariates.csv",
        )

    def _sample(self, readings, area):
        table = import_stations(self.landscape / readings)
        return sample_covariates(table, self.covariates[area])[0]


@pytest.fixture(scope="module")
def chain(root, tmp_path_factory):
    return Chain(root / "resources" / "landscape", tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def base(chain):
    return train_model(training_rows(chain.region), TrainSettings()).model


@pytest.fixture(scope="module")
def spiking(chain, base):
    chosen = select_spiking(chain.field)
    names = base.training.covariates
    spikes = training_rows(chosen, roles=["spike"], covariates=names)
    others = training_rows(chosen, roles=["validate"], covariates=names)
    return spike_model(base, spikes, SpikeSettings(), validation=others), others


def test_shipped_files_are_what_the_script_makes(root):
    landscape = make_landscape()
    folder = root / "resources" / "landscape"
    np.testing.assert_allclose(
        read_band(folder / "field" / "dem.tif", 1), landscape.field.elevation, atol=1 / 1024
    )
    np.testing.assert_allclose(
        read_band(folder / "truth" / "moisture_20210723.tif", 1),
        landscape.truth(MAP_DAY),
        atol=0.001,
    )


def test_no_covariate_is_the_truth(chain):
    """The nearest of them leaves much of the field's truth open."""
    truth = read_band(chain.landscape / "truth" / "moisture_20210723.tif", 1)
    grid = describe_raster(chain.landscape / "field" / "dem.tif").grid
    for row in chain.covariates["field"].select(chain.covariates["field"].names, MAP_DAY).values():
        if row is None or describe_raster(row.path).grid.shape != grid.shape:
            continue
        values = read_band(row.path, row.band)
        both = np.isfinite(values)
        assert abs(np.corrcoef(values[both], truth[both])[0, 1]) < 0.9, row.covariate


def test_spiking_mends_the_bias_of_the_field(base, spiking):
    """8 of 60 probes at least halve |ME| on the others and do not raise ubRMSE."""
    result, others = spiking
    assert len(set(result.spikes.station)) == 8
    assert len(set(others.station)) == 52
    before, after = score(base, others), score(result.model, others)
    assert 0.04 < abs(before.me) < 0.09
    assert abs(after.me) <= abs(before.me) / 2
    assert after.ubrmse <= before.ubrmse
    assert after.coverage > before.coverage
    assert 0.85 <= after.coverage <= 0.95
    assert result.verdict.against_global > 2


def test_intervals_cover_nine_tenths_of_the_days_of_unseen_stations(chain):
    table = split_stations(chain.region, strata="network", method="stratified")
    model = train_model(training_rows(table, roles=["train"]), TrainSettings()).model
    unseen = training_rows(table, roles=["validate"], covariates=model.training.covariates)
    assert len(set(unseen.station)) == 30
    assert 0.85 <= score(model, unseen).coverage <= 0.95


def test_map_of_the_mean_follows_the_true_field(chain, base, spiking):
    result, _ = spiking
    grid = describe_raster(chain.landscape / "field" / "dem.tif").grid
    truth = read_band(chain.landscape / "truth" / "moisture_20210723.tif", 1)
    inside = rasterize_mask([boundary(chain.landscape, grid)], grid)
    assert inside.sum() == 8000
    found = {}
    for name, model in (("base", base), ("spiked", result.model)):
        output = chain.folder / f"{name}.tif"
        summary = predict_map(model, chain.covariates["field"], MAP_DAY, grid, output=output)
        mean = read_band(output, 1)
        assert summary.coverage == pytest.approx(np.isfinite(mean).mean())
        assert np.isfinite(mean[inside]).all()
        found[name] = np.corrcoef(mean[inside], truth[inside])[0, 1]
    assert found["spiked"] > 0.6
    assert found["spiked"] > found["base"]


def boundary(landscape, grid):
    feature = json.loads((landscape / "field" / "boundary.geojson").read_text())["features"][0]
    ring = np.array(feature["geometry"]["coordinates"][0])
    x, y = transform_points("EPSG:4326", grid.crs, ring[:, 0], ring[:, 1])
    return {"type": "Polygon", "coordinates": [list(zip(x.tolist(), y.tolist()))]}
