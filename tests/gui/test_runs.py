"""Runs from Processing's dialogs, in a background thread, on layers of the project."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QEventLoop, QTimer
from qgis.PyQt.QtWidgets import QTextEdit

LANDSCAPE = Path("resources") / "landscape"
LONGEST = 30_000


@pytest.fixture
def project() -> Iterator[QgsProject]:
    """A project that is empty at first and at last."""
    QgsProject.instance().clear()
    yield QgsProject.instance()
    QgsProject.instance().clear()


@pytest.fixture
def run_dialog(plugin: Any) -> Callable[..., tuple[bool, dict[str, Any], str]]:
    """Open the dialog of an algorithm, fill it, press Run and wait; return what came of it."""
    import processing

    def run(name: str, parameters: dict[str, Any]) -> tuple[bool, dict[str, Any], str]:
        dialog = processing.createAlgorithmDialog(f"soilmoisture:{name}", parameters)
        dialog.show()
        ended: list[tuple[bool, dict[str, Any]]] = []
        loop = QEventLoop()
        dialog.algorithmFinished.connect(lambda fine, results: ended.append((fine, results)))
        dialog.algorithmFinished.connect(lambda *_: QTimer.singleShot(200, loop.quit))
        QTimer.singleShot(LONGEST, loop.quit)
        QTimer.singleShot(0, dialog.runAlgorithm)
        loop.exec()
        log = dialog.findChild(QTextEdit, "txtLog").toPlainText()
        dialog.close()
        dialog.deleteLater()
        assert ended, "the run did not end"
        return (*ended[0], log)

    return run


def training_layer() -> QgsVectorLayer:
    """Stations whose moisture follows clay; they lie in the sample landscape."""
    source = "Point?crs=EPSG:32633&field=station:string&field=date:date&field=moisture:double"
    layer = QgsVectorLayer(f"{source}&field=clay:double&field=sand:double", "training", "memory")
    rng = random.Random(1)
    for station in range(8):
        for day in range(1, 5):
            clay = 20 + station + rng.random()
            feature = QgsFeature(layer.fields())
            moisture = clay / 100 + 0.01 * rng.random()
            feature.setAttributes([f"S{station}", f"2021-04-{day:02d}", moisture, clay, 60 - clay])
            feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(station, day)))
            layer.dataProvider().addFeature(feature)
    return layer


def test_chain_from_dialogs(
    run_dialog: Callable, project: QgsProject, root: Path, tmp_path: Path
) -> None:
    """Everything that is optional is left as the dialogs have it: NULL, None or empty."""
    soil = QgsRasterLayer(str(root / LANDSCAPE / "field" / "soil.tif"), "soil of the field")
    training = training_layer()
    project.addMapLayers([soil, training])
    fine, results, log = run_dialog("splitstations", {"INPUT": training.id(), "METHOD": "k-fold"})
    assert fine, log
    split = next(layer for layer in project.mapLayers().values() if layer.name() == "Split table")
    assert split.featureCount() == 32
    assert split.renderer().classAttribute() == "fold"
    model = tmp_path / "model.smm"
    fine, results, log = run_dialog(
        "trainmodel",
        {"INPUT": split.id(), "TREES": 5, "MIN_LEAF": 2, "OUTPUT": str(model)},
    )
    assert fine, log
    assert results["RMSE"] < 0.05
    assert Path(results["REPORT"]).is_file()
    assert "METRICS" not in results
    table = tmp_path / "covariates.csv"
    fine, results, log = run_dialog("covariatetable", {"STATIC": [soil.id()], "OUTPUT": str(table)})
    assert fine, log
    with table.open(encoding="utf-8") as stream:
        assert {"clay", "sand"} <= {row["covariate"] for row in csv.DictReader(stream)}
    given = {"MODEL": str(model), "COVARIATES": str(table), "GRID": soil.id()}
    for day in ("2021-04-02", "2021-04-03"):  # a map after the dialog of the first is gone
        fine, results, log = run_dialog("predict", {**given, "DATE": day})
        assert fine, log
        assert results["COVERAGE"] > 0.9
    maps = [layer for layer in project.mapLayers().values() if layer.name() == "Soil moisture"]
    assert [layer.bandCount() for layer in maps] == [5, 5]
    assert {layer.renderer().type() for layer in maps} == {"singlebandpseudocolor"}


def test_failure_is_told_in_the_log(run_dialog: Callable, project: QgsProject) -> None:
    training = training_layer()
    project.addMapLayer(training)
    given = {"INPUT": training.id(), "METHOD": "leave-network-out", "HOLD_OUT": "Mars"}
    fine, results, log = run_dialog("splitstations", given)
    assert not fine
    assert "Mars" in log
    assert "Traceback" not in log
    assert results == {}
    assert len(project.mapLayers()) == 1
