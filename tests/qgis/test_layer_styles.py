"""How QGIS shows the points of a run when it opens them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)


@pytest.fixture
def opened(run: Callable) -> Callable[[str, dict[str, Any], str], QgsVectorLayer]:
    """Run an algorithm and open one output as QGIS does after a run."""

    def open_output(name: str, parameters: dict[str, Any], output: str) -> QgsVectorLayer:
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"soilmoisture:{name}")
        project, context = QgsProject(), QgsProcessingContext()
        context.setProject(project)
        target = QgsProcessingOutputLayerDefinition(str(parameters[output]), project)
        values = {
            key: str(value) if isinstance(value, Path) else value
            for key, value in parameters.items()
        }
        results, ok = algorithm.run({**values, output: target}, context, QgsProcessingFeedback())
        assert ok
        written = results[output]
        details = context.layersToLoadOnCompletion()[written]
        layer = context.takeResultLayer(written)
        if layer is None:
            raster = written.endswith(".tif")
            layer = QgsRasterLayer(written) if raster else QgsVectorLayer(written, "points", "ogr")
        assert layer.isValid()
        details.postProcessor().postProcessLayer(layer, context, QgsProcessingFeedback())
        return layer

    return open_output


def legend(layer: QgsVectorLayer) -> dict[str, str]:
    """Labels and colours of the legend."""
    items = layer.renderer().legendSymbolItems()
    return {item.label(): item.symbol().color().name() for item in items}


@pytest.mark.parametrize("target", ["memory:", "points.gpkg"])
def test_folds_and_roles_have_a_colour_each(
    opened: Callable, chain: Any, tmp_path: Path, target: str
) -> None:
    output = target if target == "memory:" else tmp_path / target
    given = {"INPUT": chain.training, "OUTPUT": output}
    folds = legend(opened("splitstations", {**given, "METHOD": "k-fold", "FOLDS": 3}, "OUTPUT"))
    assert list(folds) == ["fold 1", "fold 2", "fold 3"]
    assert len(set(folds.values())) == 3
    roles = legend(opened("splitstations", {**given, "METHOD": "random"}, "OUTPUT"))
    assert list(roles) == ["role train", "role validate"]
    spikes = legend(opened("selectspiking", {**given, "COUNT": 4}, "OUTPUT"))
    assert spikes["role validate"] == roles["role validate"]
    assert spikes["role spike"] not in roles.values()


def test_residuals_are_classed_about_none(opened: Callable, chain: Any) -> None:
    given = {"MODEL": chain.model, "INPUT": chain.spiking, "ROLE": "", "RESIDUALS": "memory:"}
    layer = opened("validate", given, "RESIDUALS")
    assert layer.renderer().classAttribute() == "residual"
    bounds = [(one.lowerValue(), one.upperValue()) for one in layer.renderer().ranges()]
    assert all(before[1] == after[0] for before, after in zip(bounds, bounds[1:]))
    assert [(-high, -low) for low, high in reversed(bounds)] == bounds
    for feature in layer.getFeatures():
        assert layer.renderer().rangeForValue(feature["residual"]) is not None


def test_planned_probes_bear_their_rank(opened: Callable, chain: Any, landscape: Any) -> None:
    given = {"COVARIATES": chain.covariates, "GRID": landscape.soil, "COUNT": 3}
    layer = opened("planstations", {**given, "OUTPUT": "memory:"}, "OUTPUT")
    assert layer.labelsEnabled()
    assert layer.labeling().settings().fieldName == "rank"


def test_rasters_are_shown_by_the_style_beside_them_run_after_run(
    opened: Callable, landscape: Any, tmp_path: Path
) -> None:
    for turn in range(2):  # the context of a run deletes what styled its layers
        given = {"INPUT": landscape.dem, "OUTPUT": tmp_path / f"terrain{turn}.tif"}
        layer = opened("terraincovariates", given, "OUTPUT")
        assert layer.renderer().type() == "singlebandpseudocolor"
