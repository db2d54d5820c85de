"""Several inputs and steps wired to one parameter, as the Model Designer lets users do."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
    QgsProject,
)


def make_model() -> QgsProcessingModelAlgorithm:
    """A covariate table of one raster, several rasters and a step's output."""
    model = QgsProcessingModelAlgorithm("wiring", "")
    several = QgsProcessingParameterMultipleLayers(
        "MORE", "more", Qgis.ProcessingSourceType.Raster, optional=True
    )
    none = QgsProcessingParameterMultipleLayers(
        "NONE", "none", Qgis.ProcessingSourceType.Raster, optional=True
    )
    for parameter in (QgsProcessingParameterRasterLayer("DEM", "dem"), several, none):
        component = QgsProcessingModelParameter(parameter.name())
        model.addModelParameter(parameter, component)
    source = QgsProcessingModelChildParameterSource
    terrain = QgsProcessingModelChildAlgorithm("soilmoisture:terraincovariates")
    terrain.setChildId("terrain")
    terrain.addParameterSources("INPUT", [source.fromModelParameter("DEM")])
    terrain.addParameterSources("PARAMETERS", [source.fromStaticValue(["slope"])])
    model.addChildAlgorithm(terrain)
    table = QgsProcessingModelChildAlgorithm("soilmoisture:covariatetable")
    table.setChildId("table")
    table.addParameterSources(
        "STATIC",
        [
            source.fromModelParameter("MORE"),
            source.fromChildOutput("terrain", "OUTPUT"),
            source.fromModelParameter("NONE"),
        ],
    )
    output = QgsProcessingModelOutput("table", "table")
    output.setChildId("table")
    output.setChildOutputName("OUTPUT")
    table.setModelOutputs({"table": output})
    model.addChildAlgorithm(table)
    return model


def test_sources_of_every_kind_end_in_one_list(
    provider: Any, landscape: Any, feedback: Callable, tmp_path: Path
) -> None:
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    model = make_model()
    out = tmp_path / "table.csv"
    parameters = {
        "DEM": str(landscape.dem),
        "MORE": [str(landscape.soil), str(landscape.wet[0])],
        "table:table": str(out),
    }
    assert QgsApplication.processingRegistry().algorithmById("soilmoisture:covariatetable")
    _, ran = model.run(parameters, context, feedback())
    assert ran
    with out.open(encoding="utf-8", newline="") as stream:
        names = {row["covariate"] for row in csv.DictReader(stream)}
    assert names == {"clay", "sand", "wet", "slope"}
