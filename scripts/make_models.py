"""Make the graphical models that come with the plugin anew.

Run it in the plugin's environment:

    bash scripts/env.sh python scripts/make_models.py [FOLDER]

With a folder, the diagrams are drawn into it as the Model Designer shows them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from clone_package import ALIAS, register
from model_parts import Diagram, Step
from model_preparation import coarse_moisture, sentinel1, terrain_and_soil
from model_steps import field_moisture_map
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelGroupBox,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
)
from qgis.PyQt.QtCore import QPointF, QRectF, QSizeF
from qgis.PyQt.QtGui import QColor, QImage, QPainter

COLUMN, ROW = 290.0, 105.0
SIZE = 215.0, 42.0


def build_model(diagram: Diagram) -> QgsProcessingModelAlgorithm:
    """Put a model together."""
    model = QgsProcessingModelAlgorithm(diagram.title, diagram.group, diagram.group.lower())
    summary = diagram.summary
    help_texts = {"ALG_DESC": summary, "SHORT_DESCRIPTION": summary.split(":")[0] + "."}
    for item in diagram.inputs:
        name = item.parameter.name()
        item.parameter.setHelp(item.help)
        if item.advanced:
            flags = item.parameter.flags() | Qgis.ProcessingParameterFlag.Advanced
            item.parameter.setFlags(flags)
        component = QgsProcessingModelParameter(name)
        component.setDescription(item.parameter.description())
        _place(component, item.place)
        model.addModelParameter(item.parameter, component)
        help_texts[name] = item.help
    for step_id, step in diagram.steps.items():
        model.addChildAlgorithm(_child(step_id, step))
        help_texts.update({name: output.help for name, output in step.outputs.items()})
    model.setParameterOrder([item.parameter.name() for item in diagram.inputs])
    for item in diagram.boxes:
        column, row, width, height = item.place
        box = QgsProcessingModelGroupBox(item.title)
        box.setPosition(QPointF((column + width / 2) * COLUMN, (row + height / 2) * ROW))
        box.setSize(QSizeF(width * COLUMN, height * ROW))
        box.setColor(QColor(item.colour))
        model.addGroupBox(box)
    model.setHelpContent(help_texts)
    model.updateDestinationParameters()
    return model


def _place(component: Any, place: tuple[float, float]) -> None:
    component.setPosition(QPointF((place[0] + 0.4) * COLUMN, place[1] * ROW))
    component.setSize(QSizeF(*SIZE))


def _child(step_id: str, step: Step) -> QgsProcessingModelChildAlgorithm:
    child = QgsProcessingModelChildAlgorithm(f"soilmoisture:{step.algorithm}")
    child.setChildId(step_id)
    child.setDescription(step.title)
    _place(child, step.place)
    for name, sources in step.inputs.items():
        child.addParameterSources(name, sources)
    outputs = {}
    for name, output in step.outputs.items():
        made_output = QgsProcessingModelOutput(name, output.title)
        made_output.setChildId(step_id)
        made_output.setChildOutputName(output.source)
        _place(made_output, output.place)
        outputs[name] = made_output
    child.setModelOutputs(outputs)
    return child


def draw_model(model: QgsProcessingModelAlgorithm, path: Path) -> None:
    """Draw the diagram as the Model Designer shows it."""
    from processing.modeler.ModelerScene import ModelerScene

    scene = ModelerScene()
    scene.createItems(model, QgsProcessingContext())
    box = scene.itemsBoundingRect().adjusted(-30, -30, 30, 30)
    image = QImage(int(box.width()), int(box.height()), QImage.Format.Format_ARGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    scene.render(painter, QRectF(0, 0, box.width(), box.height()), box)
    painter.end()
    image.save(str(path))


def main() -> None:
    """Start QGIS, register the provider, write the models."""
    root = register()
    application = QgsApplication([], True)
    application.initQgis()
    sys.path.append(str(Path(QgsApplication.pkgDataPath()) / "python" / "plugins"))
    from processing.core.Processing import Processing

    Processing.initialize()
    provider = import_module(f"{ALIAS}.processing_provider.provider").SoilMoistureProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    for make in (field_moisture_map, sentinel1, terrain_and_soil, coarse_moisture):
        diagram = make()
        model = build_model(diagram)
        name = diagram.title.lower().replace(" ", "_").replace("-", "")
        target = root / "resources" / "models" / f"{name}.model3"
        if not model.toFile(str(target)):
            raise SystemExit(f"{target} cannot be written.")
        if len(sys.argv) > 1:
            draw_model(model, Path(sys.argv[1]) / f"{name}.png")
    application.exitQgis()


if __name__ == "__main__":
    main()
