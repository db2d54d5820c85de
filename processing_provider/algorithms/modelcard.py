"""What a model file holds, as a page to read."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import HTML_FILTER, ModelParameter, file_output
from ..translation import tr


class ModelCard(ModelParameter, SoilMoistureAlgorithm):
    """Model → HTML page."""

    ID = "modelcard"
    TITLE = "Model card"
    GROUP = "models"
    TAGS = "report,provenance,description,metadata,html"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "matplotlib")

    def declare(self) -> None:
        self.declare_model()
        self.add(file_output("OUTPUT", tr("Model card"), HTML_FILTER, optional=False))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.evaluation.reports.model_card import model_card

        output = self.destination(parameters, "OUTPUT", context)
        name = self.file(parameters, "MODEL", context).name
        model_card(self.read_model(parameters, context), output, name=name)
        return {"OUTPUT": str(output)}
