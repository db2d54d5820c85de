"""The provider: algorithms, shipped graphical models, and the files that may be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsMessageLog,
    QgsProcessingContext,
    QgsProcessingDestinationParameter,
    QgsProcessingModelAlgorithm,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterFileDestination,
    QgsProcessingProvider,
)
from qgis.PyQt.QtGui import QIcon

from ..plugin.core.dependencies import plugin_version
from .algorithms import ALGORITHMS
from .base import ICONS
from .translation import tr

MODELS = Path(__file__).resolve().parents[1] / "resources" / "models"
VECTOR_EXTENSIONS = ["gpkg", "fgb", "geojson", "csv"]


class SoilMoistureProvider(QgsProcessingProvider):
    """Lists the algorithms of the plugin and the graphical models that come with it."""

    def id(self) -> str:
        return "soilmoisture"

    def name(self) -> str:
        return tr("Soil moisture")

    def longName(self) -> str:
        return tr("Soil Moisture Mapper")

    def versionInfo(self) -> str:
        return plugin_version()

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(ICONS / "provider.svg")

    def loadAlgorithms(self) -> None:
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
        # the models' steps are found once the registry knows the provider
        if QgsApplication.processingRegistry().providerById(self.id()) is not None:
            self._load_models()

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        return VECTOR_EXTENSIONS

    def supportedOutputTableExtensions(self) -> list[str]:
        return VECTOR_EXTENSIONS

    def isSupportedOutputValue(
        self,
        outputValue: Any,
        parameter: QgsProcessingDestinationParameter,
        context: QgsProcessingContext,
    ) -> tuple[bool, str]:
        if isinstance(parameter, QgsProcessingParameterFileDestination):
            return _check_file(outputValue, parameter, context)
        return super().isSupportedOutputValue(outputValue, parameter, context)

    def _load_models(self) -> None:
        for path in sorted(MODELS.glob("*.model3")):
            model = QgsProcessingModelAlgorithm()
            if not model.fromFile(str(path)):
                QgsMessageLog.logMessage(
                    f"The graphical model {path} could not be loaded.",
                    self.longName(),
                    Qgis.MessageLevel.Warning,
                )
                continue
            self.addAlgorithm(model)


def _check_file(
    value: Any, parameter: QgsProcessingParameterFileDestination, context: QgsProcessingContext
) -> tuple[bool, str]:
    """Return whether a file may have its extension, and if not, why."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.valueAsString(context.expressionContext(), "")[0]
    wanted = parameter.defaultFileExtension()
    path = str(value)
    if path == "TEMPORARY_OUTPUT" or Path(path).suffix.lower() == f".{wanted}":
        return True, ""
    return False, f"'{path}' must end in .{wanted}"
